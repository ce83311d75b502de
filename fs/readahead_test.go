package fs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/fs"
)

// TestMount_ReadAhead holds that the kernel asks for much more than 128 KiB at once.
func TestMount_ReadAhead(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN HERE: only root may tell the kernel how far to read ahead")
	}
	r := newRepo(t)
	const size = 8 << 20
	name := r.orders(false, string(make([]byte, size)))[0]
	mnt, server := r.mount(fs.Options{NoPassthrough: true})
	var st unix.Stat_t
	if err := unix.Stat(mnt, &st); err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/sys/class/bdi/%d:%d/read_ahead_kb", unix.Major(st.Dev), unix.Minor(st.Dev))
	if f, err := os.OpenFile(path, os.O_WRONLY, 0); err != nil {
		t.Skipf("NOT RUN HERE: the kernel's read-ahead cannot be changed: %v", err)
	} else if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	before := server.Status().Requests["READ"]
	data := must[[]byte](t)(os.ReadFile(filepath.Join(mnt, "acme/sales/@1.0.0/orders", name)))
	if len(data) != size {
		t.Errorf("read %d bytes, want %d", len(data), size)
	}
	if got, most := server.Status().Requests["READ"]-before, int64(size/(256<<10)); got > most {
		t.Errorf("%d bytes took %d READs, want at most %d", size, got, most)
	}
}
