package staging_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/annexfs/annexfs/fs/staging"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/manifest"
)

// shelf is a Publisher over a directory: a real one, but for what a parquet file is. Two tables are declared in every
// dataset but ns/none: orders of parquet files, and images of files.
type shelf struct {
	dir      string
	returned func(path string, why error)

	mu    sync.Mutex
	next  int64
	rows  map[string]row              // by table and name; guarded by mu
	fault func(b staging.Batch) error // is asked before anything is published; guarded by mu
}

// fail has fn asked before anything is published.
func (s *shelf) fail(fn func(staging.Batch) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fn
}

type row struct {
	id  int64
	sum [32]byte
}

var kinds = map[string]manifest.TableKind{"orders": manifest.Parquet, "images": manifest.Files}

func (s *shelf) List(_ context.Context, namespace, name string) ([]string, error) {
	base, _, _ := strings.Cut(name, "@")
	switch {
	case namespace == "":
		return []string{"acme"}, nil
	case name == "" && namespace == "acme":
		return []string{"sales"}, nil
	case base == "sales" && namespace == "acme":
		return slices.Sorted(maps.Keys(kinds)), nil
	}
	return nil, iofs.ErrNotExist
}

func (s *shelf) Table(_ context.Context, ref dataset.TableRef) (staging.Table, error) {
	t := staging.Table{Ref: ref}
	if ref.Reference.ID.String() == "acme/sales" {
		t.Kind = kinds[string(ref.Table)]
	}
	return t, nil
}

// parquet makes what the shelf takes for a parquet file of a schema.
func parquet(schema, body string) []byte {
	footer := "schema=" + schema
	data := append([]byte("PAR1"), body...)
	data = append(data, footer...)
	data = binary.LittleEndian.AppendUint32(data, uint32(len(footer)))
	return append(data, "PAR1"...)
}

var errBusy = fmt.Errorf("%w: locked by job 7", fault.ErrConflict)

var good = parquet("orders", "some rows")

func (s *shelf) Check(_ context.Context, _ staging.Table, _ string, r io.ReaderAt, size int64) error {
	data := make([]byte, size)
	if _, err := r.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if size < 12 || !bytes.HasPrefix(data, []byte("PAR1")) || !bytes.HasSuffix(data, []byte("PAR1")) {
		return fmt.Errorf("%w: not a parquet file", iofs.ErrInvalid)
	}
	n := int64(binary.LittleEndian.Uint32(data[size-8:]))
	if n > size-12 {
		return fmt.Errorf("%w: truncated", iofs.ErrInvalid)
	}
	if footer := string(data[size-8-n : size-8]); footer != "schema=orders" {
		return fmt.Errorf("%w: the columns are those of %s", fault.ErrConflict, footer)
	}
	return nil
}

func (s *shelf) Settle(context.Context) error { return nil }

func (s *shelf) Publish(ctx context.Context, t staging.Table, b staging.Batch) ([]staging.Published, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		if err := s.fault(b); err != nil {
			return nil, err
		}
	}
	prefix := t.Ref.String() + "/"
	for _, f := range b.Files {
		if err := s.judge(ctx, t, prefix, f, b); err != nil {
			return nil, err
		}
	}
	if b.Replace {
		for name := range s.rows {
			if strings.HasPrefix(name, prefix) {
				delete(s.rows, name)
			}
		}
	}
	var all []staging.Published
	for _, f := range b.Files {
		p, err := s.store(prefix, f)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func (s *shelf) judge(ctx context.Context, t staging.Table, prefix string, f staging.File, b staging.Batch) error {
	data, err := os.ReadFile(f.Path)
	if err != nil {
		return err
	}
	if int64(len(data)) != f.Size {
		return fmt.Errorf("%w: %s has %d bytes, not %d", fault.ErrCorrupt, f.Name, len(data), f.Size)
	}
	sum := sha256.Sum256(data)
	if f.Sum != nil && *f.Sum != sum {
		return fmt.Errorf("%w: %s: the running hash is wrong", fault.ErrCorrupt, f.Name)
	}
	if t.Kind != manifest.Files {
		if err := s.Check(ctx, t, f.Name, bytes.NewReader(data), f.Size); err != nil {
			return fmt.Errorf("%w: %w", iofs.ErrInvalid, err)
		}
	}
	old, found := s.rows[prefix+f.Name]
	if found && old.sum != sum && old.id != f.Replaces.ID && !b.Replace {
		return fmt.Errorf("%w: %s is there with other content", iofs.ErrExist, f.Name)
	}
	return nil
}

func (s *shelf) store(prefix string, f staging.File) (staging.Published, error) {
	data, err := os.ReadFile(f.Path)
	if err != nil {
		return staging.Published{}, err
	}
	s.next++
	r := row{s.next, sha256.Sum256(data)}
	p := staging.Published{ID: r.id, URL: fmt.Sprintf("%x", r.sum)}
	s.rows[prefix+f.Name] = r
	return p, os.Rename(f.Path, filepath.Join(s.dir, p.URL))
}

func (s *shelf) Rename(_ context.Context, t staging.Table, moves []staging.Move) ([]staging.Published, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	prefix := t.Ref.String() + "/"
	var all []staging.Published
	for _, m := range moves {
		for name, r := range s.rows {
			if r.id == m.ID {
				delete(s.rows, name)
				s.rows[prefix+m.Name] = r
			}
		}
		all = append(all, m.Published)
	}
	return all, nil
}

func (s *shelf) Register(_ context.Context, ref dataset.Reference, data []byte) (staging.Published, error) {
	if !bytes.HasPrefix(data, []byte("{")) {
		return staging.Published{}, fmt.Errorf("%w: field tables: is missing", iofs.ErrInvalid)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	r := row{s.next, sha256.Sum256(data)}
	s.rows[ref.String()+" manifest"] = r
	p := staging.Published{ID: r.id, URL: fmt.Sprintf("%x", r.sum)}
	return p, os.WriteFile(filepath.Join(s.dir, p.URL), data, 0o600)
}

func (s *shelf) Open(_ context.Context, p staging.Published) (staging.Content, error) {
	return os.Open(filepath.Join(s.dir, p.URL))
}

func (s *shelf) Recover(context.Context) error { return nil }

// names are what is in a table.
func (s *shelf) names(ref string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := []string{}
	for name := range s.rows {
		if rest, ok := strings.CutPrefix(name, ref+"/"); ok {
			names = append(names, rest)
		}
	}
	slices.Sort(names)
	return names
}

func (s *shelf) content(ref, name string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.rows[ref+"/"+name]
	if !ok {
		return nil
	}
	data, _ := os.ReadFile(filepath.Join(s.dir, fmt.Sprintf("%x", r.sum)))
	return data
}

const (
	orders = "acme/sales@latest/orders"
	images = "acme/sales@latest/images"
)

// site is a mounted staging tree.
type site struct {
	t     *testing.T
	mnt   string
	dir   string
	shelf *shelf
	tree  *staging.Tree
	stop  func()
}

func mount(t *testing.T, edit ...func(*staging.Options)) *site {
	t.Helper()
	base := t.TempDir()
	s := &site{t: t, mnt: filepath.Join(base, "mnt"), dir: filepath.Join(base, "staging"),
		shelf: &shelf{dir: filepath.Join(base, "shelf"), rows: map[string]row{}}}
	for _, d := range []string{s.mnt, s.dir, s.shelf.dir} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.start(edit...)
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *site) start(edit ...func(*staging.Options)) {
	s.t.Helper()
	o := staging.Options{Dir: s.dir, Publisher: s.shelf, Logger: slog.New(slog.DiscardHandler),
		UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	for _, e := range edit {
		e(&o)
	}
	tree, err := staging.New(s.t.Context(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	server, err := fuse.NewServer(tree.RawFileSystem(), s.mnt, tree.MountOptions())
	if err != nil {
		s.t.Fatalf("mounting: %v", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve()
	}()
	if err := server.WaitMount(); err != nil {
		s.t.Fatal(err)
	}
	s.tree = tree
	s.stop = sync.OnceFunc(func() {
		if err := server.Unmount(); err != nil {
			s.t.Errorf("unmount: %v", err)
			_ = syscall.Unmount(s.mnt, syscall.MNT_DETACH)
		}
		<-done
		tree.Close()
	})
}

// restart plays a new daemon over what the old one has left.
func (s *site) restart() {
	s.t.Helper()
	s.stop()
	s.start()
}

func (s *site) path(name string) string { return filepath.Join(s.mnt, "acme/sales", name) }

func (s *site) write(name string, data []byte) error {
	return os.WriteFile(s.path(name), data, 0o644)
}

// mustWrite writes a file and expects success.
func (s *site) mustWrite(name string, data []byte) {
	s.t.Helper()
	if err := s.write(name, data); err != nil {
		s.t.Fatalf("writing %s: %v", name, err)
	}
}

func (s *site) list(name string) []string {
	s.t.Helper()
	entries, err := os.ReadDir(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (s *site) mkdir(name string) {
	s.t.Helper()
	if err := os.MkdirAll(s.path(name), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

// wantTable compares the names in a table.
func (s *site) wantTable(ref string, want ...string) {
	s.t.Helper()
	if got := s.shelf.names(ref); !slices.Equal(got, want) {
		s.t.Errorf("%s holds %q, want %q", ref, got, want)
	}
}

// wantStaged compares the listing of a directory.
func (s *site) wantStaged(name string, want ...string) {
	s.t.Helper()
	if got := s.list(name); !slices.Equal(got, want) {
		s.t.Errorf("%s lists %q, want %q", name, got, want)
	}
}

// wantReport expects <name>.error to say what it should.
func (s *site) wantReport(name, want string) {
	s.t.Helper()
	data, err := os.ReadFile(s.path(name + ".error"))
	if err != nil {
		s.t.Errorf("report: %v", err)
	} else if !strings.Contains(string(data), want) {
		s.t.Errorf("report of %s is %q, want %q in it", name, data, want)
	}
}

func wantErrno(t *testing.T, what string, got error, want syscall.Errno) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error %v, want %v", what, got, want)
	}
}

// eventually waits for what RELEASE does, which nobody is told of.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

// shell runs a script in the dataset's staging directory and returns what it said.
func (s *site) shell(script string) (string, error) {
	s.t.Helper()
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir = s.mnt
	cmd.Env = append(os.Environ(), "S="+s.path(""), "T="+path.Dir(s.mnt), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
