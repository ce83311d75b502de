package objects_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/annexfs/annexfs/internal/objects"
)

func TestOpen_Refused(t *testing.T) {
	file := writeFile(t, "x")
	for _, c := range []struct {
		url  string
		kind error
		say  string
	}{
		{"", fs.ErrInvalid, "want file:///"},
		{"objects", fs.ErrInvalid, "want file:///"},
		{"/srv/objects", fs.ErrInvalid, "want file:///"},
		{"file:objects", fs.ErrInvalid, "want file:///"},
		{"file://host/srv", fs.ErrInvalid, "want file:///"},
		{"file:///srv?create_dir=1", fs.ErrInvalid, "want file:///"},
		{"file://" + file + "/none", nil, "not a directory"},
		{"file://" + file, nil, "not a directory"},
		{"file://" + filepath.Dir(file) + "/none", fs.ErrNotExist, "none"},
		{"ftp://host/x", fs.ErrInvalid, "s3://bucket"},
		{"s3://", fs.ErrInvalid, "s3://bucket"},
		{"s3://key:secret@bucket", fs.ErrInvalid, "credentials"},
		{"s3://bucket/a b", fs.ErrInvalid, "prefix"},
		{"s3://bucket?bogus=1", nil, "bogus"},
		{"mem://x", fs.ErrInvalid, "mem://"},
		{"s3://bucket\x00", fs.ErrInvalid, "s3://bucket"},
	} {
		_, err := objects.Open(t.Context(), c.url)
		if err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("Open(%q): %v, want an error that says %q", c.url, err, c.say)
		}
		if c.kind != nil && !errors.Is(err, c.kind) {
			t.Errorf("Open(%q): %v, want %v", c.url, err, c.kind)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%q): %v, which tells the password", c.url, err)
		}
	}
}

func TestOpen_File(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with space % and ä")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{
		"file://" + strings.NewReplacer("%", "%25", " ", "%20").Replace(dir),
		"file:" + strings.NewReplacer("%", "%25").Replace(dir) + "/",
		"file://localhost" + strings.NewReplacer("%", "%25").Replace(dir),
	} {
		s := open(t, url)
		path, ok := s.LocalPath("a/b")
		if want := filepath.Join(dir, "a", "b"); path != want || !ok {
			t.Errorf("LocalPath in %q = %q, %v, want %q", url, path, ok, want)
		}
		if s.URL() != url {
			t.Errorf("URL = %q, want %q", s.URL(), url)
		}
	}
}

// TestOpen_Mem holds that each memory store is its own.
func TestOpen_Mem(t *testing.T) {
	a, b := open(t, "mem://"), open(t, "mem://")
	mustPut(t, a, "x", "1")
	if _, err := b.Stat(t.Context(), "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat in another store: %v, want fs.ErrNotExist", err)
	}
	if _, ok := a.LocalPath("x"); ok {
		t.Error("LocalPath of a memory store, want none")
	}
	if _, _, ok := a.StatFS(); ok {
		t.Error("StatFS of a memory store, want none")
	}
}
