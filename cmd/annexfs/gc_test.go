package main

import (
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annexfs/annexfs/internal/repo"
)

// collectedDocument is what gc writes with --json.
type collectedDocument struct {
	Garbage []garbageRow
	collectedRow
}

// litter puts an object, a file and a temporary file into the repository that nothing names, all so old.
func (s *shell) litter(age time.Duration) (paths []string) {
	s.Helper()
	revision := filepath.Join("objects/shop/sales/orders", uuid.Must(uuid.NewV7()).String())
	for _, name := range []string{
		filepath.Join(revision, "000000001-00000000000000aa.parquet"),
		"files/091/de9/SHA256E-s5--2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824.txt",
		"staging/.annexfs-tmp-1",
	} {
		path := filepath.Join(s.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			s.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("hello"), 0o644); err != nil {
			s.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(path, then, then); err != nil {
			s.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// there are those of some paths that exist.
func (s *shell) there(paths []string) []string {
	var left []string
	for _, path := range paths {
		if _, err := os.Lstat(path); err == nil {
			left = append(left, path)
		}
	}
	return left
}

func TestGC(t *testing.T) {
	each(t, func(s *shell) {
		s.register("one")
		s.ok("add", "shop/sales/orders", s.orders("a.parquet", 1))
		s.ok("add", "shop/sales/photos", s.write("b.jpg", []byte("photo")))
		paths := s.litter(2 * time.Hour)
		var d collectedDocument
		s.json(&d, "gc")
		if len(d.Garbage) != 0 || d.Garbage == nil || d.Objects.Count != 0 || d.DryRun {
			s.Errorf("gc of what is young: got %+v", d)
		}
		s.json(&d, "gc", "--older-than=1h", "--dry-run")
		if len(d.Garbage) != 3 || d.Objects != (totalRow{1, 5}) || d.Files != (totalRow{1, 5}) || d.Temporary != (totalRow{1, 5}) || !d.DryRun {
			s.Errorf("gc --dry-run: got %+v", d)
		}
		got := s.run("gc", "--older-than=10m", "-n")
		for _, want := range []string{"KIND ", "object  ", "file  ", "temporary  ", "5 B", ".annexfs-tmp-1"} {
			if !strings.Contains(got.out, want) {
				s.Errorf("gc -n: %q is not in\n%s", want, got.out)
			}
		}
		if !strings.Contains(got.err, "would remove 1 objects (5 B), 1 files (5 B) and 1 temporary files (5 B)") {
			s.Errorf("gc -n: stderr %q", got.err)
		}
		if diff := cmp.Diff(paths, s.there(paths)); diff != "" {
			s.Errorf("a dry run removed files (-want +got):\n%s", diff)
		}
		if got := s.run("gc", "--older-than=1h"); got.status != 0 || !strings.Contains(got.err, "removed 1 objects") {
			s.Errorf("gc: status %d, stderr %q", got.status, got.err)
		}
		if left := s.there(paths); left != nil {
			s.Errorf("gc left %v", left)
		}
		if got := s.run("gc", "--older-than=1h", "-q"); got.out != "" || got.err != "" {
			s.Errorf("gc -q with nothing to do: %q, %q, want silence", got.out, got.err)
		}
		s.ok("cat", "shop/sales@dev/photos/b.jpg")
	})
}

func TestGC_Refused(t *testing.T) {
	s := newShell(t)
	s.fails(2, []string{"the least is 1h0m0s", "--dry-run"}, "gc", "--older-than=59m")
	s.fails(2, []string{"older-than"}, "gc", "--older-than=soon")
	s.fails(2, []string{"extra"}, "gc", "extra")
}

// TestGC_DatabaseLost holds that a database which was made again takes nothing of the repository for garbage.
func TestGC_DatabaseLost(t *testing.T) {
	s := newShell(t)
	s.register("one")
	s.ok("add", "shop/sales/orders", s.orders("a.parquet", 1))
	s.ok("add", "shop/sales/photos", s.write("b.jpg", []byte("photo")))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(filepath.Join(s.dir, "annexfs.db"+suffix)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, "annexfs.db"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-48 * time.Hour)
	stored := 0
	if err := filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && (strings.HasSuffix(path, ".parquet") || strings.HasSuffix(path, ".jpg")) {
			stored++
			err = os.Chtimes(path, then, then)
		}
		return err
	}); err != nil || stored != 2 {
		t.Fatalf("%d files, %v, want 2", stored, err)
	}
	s.ok("migrate")
	s.fails(3, []string{"does not know the repository", "annexfs init"}, "gc")
	s.ok("init", s.dir)
	s.register("one")
	var d collectedDocument
	s.json(&d, "gc")
	if len(d.Garbage) != 0 || d.Unknown != 2 {
		s.Errorf("gc with a new database: got %+v, want 2 unknown", d)
	}
}

// TestCollectDaily holds that what a mount runs by itself collects when it is due, notes when that was, and ends.
func TestCollectDaily(t *testing.T) {
	s := newShell(t)
	s.register("one")
	paths := s.litter(48 * time.Hour)
	r, err := repo.Open(t.Context(), s.dir, repo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	told := make(chan struct{}, 1)
	log := slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		if strings.Contains(string(p), "removed what was stored and never registered") {
			told <- struct{}{}
		}
		return len(p), nil
	}), nil))
	stop := collectDaily(t.Context(), r, ingester(r, &app{stdio: stdio{err: io.Discard}}), log, 0)
	<-told
	stop()
	info, err := os.Stat(filepath.Join(r.StagingDir(), collectedName))
	if err != nil || time.Since(info.ModTime()) > time.Hour {
		t.Errorf("the time of the collection: got %v, %v, want now", info, err)
	}
	if left := s.there(paths); left != nil {
		t.Errorf("left: %v", left)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
