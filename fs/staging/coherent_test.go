package staging_test

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWrite_Seen holds that whoever has read a staged file, by read or by mmap, sees what is written to it afterwards
// through a handle that bypasses the kernel's cache.
func TestWrite_Seen(t *testing.T) {
	s := mount(t)
	const size = 3 << 20
	if err := os.MkdirAll(s.path("orders"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := s.path("orders/.waits.tmp")
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Write(bytes.Repeat([]byte{'a'}, size)); err != nil {
		t.Fatal(err)
	}
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	mapped, err := unix.Mmap(int(r.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Munmap(mapped); err != nil {
			t.Error(err)
		}
	}()
	got := make([]byte, size)
	for _, c := range []byte("abc") {
		want := bytes.Repeat([]byte{c}, size)
		if _, err := w.WriteAt(want, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := r.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
			t.Errorf("a reader has %q…, %v, want %q", got[0], err, c)
		}
		if !bytes.Equal(mapped, want) {
			t.Errorf("who maps it has %q…, want %q", mapped[0], c)
		}
	}
}
