package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/ingest"
)

// content reads a file of the table by its path.
func (f *fixture) content(t *testing.T, name, path string) string {
	t.Helper()
	rev, _ := f.revision(t, name)
	e, err := f.Options.Data.LookupIn(t.Context(), rev.ID, path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := f.Options.Data.File(t.Context(), e.ID)
	if err != nil {
		t.Fatal(err)
	}
	key, err := dataset.ParseKey(strings.TrimPrefix(file.URL, ingest.KeyScheme))
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(f.Options.Files.Path(key))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAdd_Files(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		want := map[string]string{
			"2025/rome/a.jpg": "a", "2025/rome/b.tar.gz": "b", "2026/.gitignore": "*", "2026/__init__.py": "",
			"twin": "a", "deep/er/and/er/x": "x", "year=2026/place=oslo/c.jpg": "c",
		}
		for name, data := range want {
			f.write(t, name, []byte(data))
		}
		r := f.add(t, "acme/crm/photos", ingest.AddOptions{}, f.in)
		if len(r.Files) != len(want) {
			t.Fatalf("added %v", r.Files)
		}
		for name, data := range want {
			if got := f.content(t, "acme/crm/photos", name); got != data {
				t.Errorf("content of %s: got %q, want %q", name, got, data)
			}
		}
		wantKeys := map[string]map[string]string{
			"2025/rome/a.jpg":            {"year": "2025", "place": "rome"},
			"2025/rome/b.tar.gz":         {"year": "2025", "place": "rome"},
			"year=2026/place=oslo/c.jpg": {"year": "2026", "place": "oslo"},
		}
		for file, err := range f.Options.Data.Files(t.Context(), r.Revision.ID) {
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wantKeys[file.Path], file.Statistics.Keys); diff != "" {
				t.Errorf("keys of %s (-want +got):\n%s", file.Path, diff)
			}
		}
	})
}

func TestAdd_FilesAgain(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.write(t, "x/1", []byte("one"))
		f.add(t, "acme/crm/photos", ingest.AddOptions{}, f.in)
		f.write(t, "x/2", []byte("two"))
		r := f.add(t, "acme/crm/photos", ingest.AddOptions{}, f.in)
		if !r.Files[0].Existing || r.Files[1].Existing {
			t.Errorf("added again: %+v, want the first to be there already", r.Files)
		}
		for _, data := range []string{"ONE", "longer"} {
			f.write(t, "x/1", []byte(data))
			_, err := f.Add(t.Context(), table(t, "acme/crm/photos"), []string{f.in}, ingest.AddOptions{})
			if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "--replace") {
				t.Errorf("other content at a path: got %v, want fs.ErrExist that tells the way on", err)
			}
		}
		if got := f.content(t, "acme/crm/photos", "x/1"); got != "one" {
			t.Errorf("content: got %q, want what was there first", got)
		}
		f.add(t, "acme/crm/photos", ingest.AddOptions{Replace: true}, f.in)
		if got := f.content(t, "acme/crm/photos", "x/1"); got != "longer" {
			t.Errorf("content after --replace: got %q", got)
		}
	})
}

func TestAdd_FilesRefused(t *testing.T) {
	f := local(t)
	f.write(t, "a/x", []byte("1"))
	f.write(t, "b/x", []byte("2"))
	_, err := f.Add(t.Context(), table(t, "acme/crm/photos"), []string{filepath.Join(f.in, "a"), filepath.Join(f.in, "b")}, ingest.AddOptions{})
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "a/x") || !strings.Contains(err.Error(), "b/x") {
		t.Errorf("one path for two files: got %v, want fs.ErrExist that names both", err)
	}
	f.write(t, "bad/\xff", []byte("3"))
	_, err = f.Add(t.Context(), table(t, "acme/crm/photos"), []string{filepath.Join(f.in, "bad")}, ingest.AddOptions{})
	if !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a name that is no text: got %v, want fs.ErrInvalid", err)
	}
	f.add(t, "acme/crm/photos", ingest.AddOptions{}, filepath.Join(f.in, "a"))
	f.write(t, "c/x/y", []byte("4"))
	_, err = f.Add(t.Context(), table(t, "acme/crm/photos"), []string{filepath.Join(f.in, "c")}, ingest.AddOptions{})
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("a directory where a file is: got %v, want fs.ErrExist", err)
	}
}

// TestAdd_FilesResume interrupts an Add to a files table and adds again.
func TestAdd_FilesResume(t *testing.T) {
	f := local(t)
	for n := range 4 {
		f.write(t, fmt.Sprintf("%d", n), fmt.Appendf(nil, "content %d", n))
	}
	f.interrupt(t, "acme/crm/photos", ingest.AddOptions{}, f.in)
	if got := f.active(t, "acme/crm/photos"); len(got) != 0 {
		t.Fatalf("an interrupted Add shows %v", got)
	}
	stored := 0
	for _, err := range f.Options.Files.List(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		stored++
	}
	if stored < 2 {
		t.Fatalf("an interrupted Add left %d files, want the two that were done", stored)
	}
	f.add(t, "acme/crm/photos", ingest.AddOptions{}, f.in)
	if got := f.active(t, "acme/crm/photos"); len(got) != 4 {
		t.Errorf("active: got %v, want 4 files", got)
	}
}
