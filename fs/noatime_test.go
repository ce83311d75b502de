package fs_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/fs"
)

// TestMount_AccessTime holds that what the kernel reads by itself it reads without deciding about access times.
func TestMount_AccessTime(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN HERE: only root can have reads passed through")
	}
	r := newRepo(t)
	name := r.orders(false, "content")[0]
	dir, ok := r.Objects.Dir()
	if !ok {
		t.Fatal("the objects are not on this machine")
	}
	object := must[string](t)(theFile(dir))
	// With relatime a read would write this: it is older than a day.
	past := time.Now().Add(-72 * time.Hour).Truncate(time.Second)
	if err := os.Chtimes(object, past, past); err != nil {
		t.Fatal(err)
	}
	mnt, server := r.mount(fs.Options{})
	data := must[[]byte](t)(os.ReadFile(filepath.Join(mnt, "acme/sales/@1.0.0/orders", name)))
	if string(data) != "content" {
		t.Errorf("read %q", data)
	}
	if s := server.Status(); s.Passthrough.Registered != 1 || s.BytesRead != 0 {
		t.Fatalf("%d files registered and %d bytes read by the daemon, want the kernel to read", s.Passthrough.Registered, s.BytesRead)
	}
	var st unix.Stat_t
	if err := unix.Stat(object, &st); err != nil {
		t.Fatal(err)
	}
	if got := time.Unix(st.Atim.Unix()); !got.Equal(past) {
		t.Errorf("reading set the object's access time to %v", got)
	}
}

// theFile is the one parquet file below dir.
func theFile(dir string) (string, error) {
	found := ""
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".parquet" {
			found = path
		}
		return err
	})
	return found, err
}
