package staging_test

import (
	"bytes"
	"os"
	"slices"
	"syscall"
	"testing"
)

func TestFlush_Publish(t *testing.T) {
	s := mount(t)
	s.mustWrite("orders/a.parquet", good)
	s.wantTable(orders, "a.parquet")
	s.wantStaged("orders")
	s.mustWrite("images/deep.txt", []byte("hello"))
	s.wantTable(images, "deep.txt")
}

func TestFlush_Refusal(t *testing.T) {
	s := mount(t)
	wantErrno(t, "not parquet", s.write("orders/a.parquet", []byte("nonsense")), syscall.EINVAL)
	s.wantReport("orders/a.parquet", "not a parquet file")
	s.wantStaged("orders", "a.parquet", "a.parquet.error")
	wantErrno(t, "other schema", s.write("orders/a.parquet", parquet("people", "x")), syscall.EINVAL)
	s.wantReport("orders/a.parquet", "schema=people")
	s.mustWrite("orders/a.parquet", good)
	s.wantStaged("orders")
	s.wantTable(orders, "a.parquet")
}

func TestFlush_Ghost(t *testing.T) {
	s := mount(t)
	s.mustWrite("images/a", []byte("hello"))
	info, err := os.Stat(s.path("images/a"))
	if err != nil || info.Size() != 5 {
		t.Fatalf("stat of a ghost: %v, %v; want 5 bytes", info, err)
	}
	if err := os.Chmod(s.path("images/a"), 0o600); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(s.path("images/a")); err != nil || string(got) != "hello" {
		t.Errorf("reading a ghost: %q, %v", got, err)
	}
	wantErrno(t, "other content", s.write("images/a", []byte("other")), syscall.EEXIST)
	s.wantReport("images/a", "other content")
	s.mustWrite("images/a", []byte("hello"))
	if got := s.list("images"); !slices.Equal(got, []string{}) {
		t.Errorf("images lists %q, want nothing", got)
	}
	if got := s.shelf.content(images, "a"); !bytes.Equal(got, []byte("hello")) {
		t.Errorf("a holds %q", got)
	}
}
