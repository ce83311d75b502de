package staging_test

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// open opens a file below the dataset and closes it when the test ends, unless it did so itself.
func (s *site) open(name string, flags int) *os.File {
	s.t.Helper()
	f, err := os.OpenFile(s.path(name), flags, 0o644)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = f.Close() })
	return f
}

// flush is what closing a duplicate of the descriptor sends.
func flush(t *testing.T, f *os.File) error {
	t.Helper()
	fd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return unix.Close(fd)
}

func mustWriteTo(t *testing.T, f *os.File, data []byte) {
	t.Helper()
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
}

const create = os.O_RDWR | os.O_CREATE | os.O_EXCL

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

func TestFlush_BeforeTheFirstByte(t *testing.T) {
	s := mount(t)
	f := s.open("orders/a.parquet", create)
	if err := flush(t, f); err != nil {
		t.Errorf("flush of an empty file: %v", err)
	}
	mustWriteTo(t, f, good)
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	s.wantTable(orders, "a.parquet")
}

func TestFlush_InTheMiddle(t *testing.T) {
	s := mount(t)
	f := s.open("orders/a.parquet", create)
	mustWriteTo(t, f, good[:10])
	wantErrno(t, "half a file", flush(t, f), syscall.EINVAL)
	wantErrno(t, "nothing new", flush(t, f), syscall.EINVAL)
	s.wantReport("orders/a.parquet", "not a parquet file")
	mustWriteTo(t, f, good[10:])
	if err := flush(t, f); err != nil {
		t.Errorf("the whole file: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("nothing new after success: %v", err)
	}
	s.wantTable(orders, "a.parquet")
	s.wantStaged("orders")
}

func TestFlush_CorrectedByItsHandle(t *testing.T) {
	s := mount(t)
	f := s.open("images/log", create)
	mustWriteTo(t, f, []byte("one,"))
	if err := flush(t, f); err != nil {
		t.Fatal(err)
	}
	s.wantStaged("images")
	mustWriteTo(t, f, []byte("two"))
	s.wantStaged("images", "log")
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if got := s.shelf.content(images, "log"); string(got) != "one,two" {
		t.Errorf("log holds %q, want one,two", got)
	}
	f = s.open("images/log", os.O_WRONLY|os.O_APPEND)
	mustWriteTo(t, f, []byte(",three"))
	wantErrno(t, "another handle", f.Close(), syscall.EEXIST)
	if got := s.shelf.content(images, "log"); string(got) != "one,two" {
		t.Errorf("log holds %q, want one,two", got)
	}
	if got, err := os.ReadFile(s.path("images/log")); err != nil || string(got) != "one,two,three" {
		t.Errorf("the staged file holds %q, %v", got, err)
	}
}

func TestFlush_EmptyThenWritten(t *testing.T) {
	s := mount(t)
	s.mustWrite("images/empty", nil)
	eventually(t, "publication of an empty file", func() bool { return slices.Contains(s.shelf.names(images), "empty") })
	s.mustWrite("images/empty", []byte("now"))
	if got := s.shelf.content(images, "empty"); string(got) != "now" {
		t.Errorf("empty holds %q, want now", got)
	}
	s.mustWrite("orders/empty.parquet", nil)
	eventually(t, "report of an empty file", func() bool { return slices.Contains(s.list("orders"), "empty.parquet.error") })
	s.wantReport("orders/empty.parquet", "empty")
	s.mustWrite("orders/empty.parquet", good)
	s.wantTable(orders, "empty.parquet")
	s.wantStaged("orders")
}

func TestFlush_Killed(t *testing.T) {
	s := mount(t)
	for name, signal := range map[string]syscall.Signal{"KILL": syscall.SIGKILL, "TERM": syscall.SIGTERM, "INT": syscall.SIGINT} {
		writer := exec.Command("perl", "-e", `open F, ">", $ARGV[0]; syswrite F, "half"; print "written\n"; $| = 1; print ""; sleep 60`, s.path("images/"+name))
		out, err := writer.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if err := writer.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		_ = writer.Wait() // by the signal
		eventually(t, "report after SIG"+name, func() bool { return slices.Contains(s.list("images"), name+".error") })
		s.wantReport("images/"+name, "was killed")
	}
	s.wantTable(images)
	s.mustWrite("images/KILL", []byte("whole"))
	s.wantTable(images, "KILL")
}

func TestFlush_OtherProcess(t *testing.T) {
	s := mount(t)
	f := s.open("images/a", create)
	mustWriteTo(t, f, []byte("half"))
	child := exec.Command("true")
	child.ExtraFiles = []*os.File{f}
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	s.wantTable(images)
	killed := exec.Command("bash", "-c", "kill -KILL $$")
	killed.ExtraFiles = []*os.File{f}
	if err := killed.Run(); err == nil {
		t.Fatal("a killed child: no error")
	}
	mustWriteTo(t, f, []byte(" whole"))
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if got := s.shelf.content(images, "a"); string(got) != "half whole" {
		t.Errorf("a holds %q", got)
	}
}

func TestFlush_OpenerGone(t *testing.T) {
	s := mount(t)
	if out, err := s.shell("(exec 3> $S/images/a; P=$BASHPID; (while kill -0 $P; do :; done; printf late >&3) 2>/dev/null & )"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	eventually(t, "publication at RELEASE", func() bool { return string(s.shelf.content(images, "a")) == "late" })
	if out, err := s.shell("( printf ab; printf cd ) > $S/images/b"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := s.shelf.content(images, "b"); string(got) != "abcd" {
		t.Errorf("b holds %q", got)
	}
}

func TestWrite_LastBytesOfParquet(t *testing.T) {
	s := mount(t)
	f := s.open("orders/a.parquet", create)
	bad := parquet("people", "x")
	mustWriteTo(t, f, bad[:4])
	_, err := f.Write(bad[4:])
	wantErrno(t, "the last write", err, syscall.EINVAL)
	s.wantReport("orders/a.parquet", "schema=people")
	wantErrno(t, "close", f.Close(), syscall.EINVAL)

	f = s.open("orders/c.parquet", create) // as the kernel splits a write, whose rest is repeated
	for _, off := range []int64{4, 4, 8} {
		if _, err := f.WriteAt(bad[:off], 0); err != nil {
			t.Fatal(err)
		}
		_, err := f.WriteAt(bad[off:], off)
		wantErrno(t, "the last write, repeated", err, syscall.EINVAL)
	}

	f = s.open("orders/b.parquet", create) // PAR1 that is no end
	mustWriteTo(t, f, []byte("PAR1 and more PAR1"))
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(good, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	s.wantTable(orders, "b.parquet")
}

func TestWrite_OutOfOrder(t *testing.T) {
	s := mount(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<15)
	f := s.open("images/a", create)
	half := len(data) / 2
	for _, at := range []int{half, 0} {
		if _, err := f.WriteAt(data[at:at+half], int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(int64(len(data) - 5)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if got := s.shelf.content(images, "a"); !bytes.Equal(got, data[:len(data)-5]) {
		t.Errorf("a holds %d bytes, not those written", len(got))
	}
}

// TestWrite_Mapped maps in another process: a page fault in the one that serves it could wait for itself.
func TestWrite_Mapped(t *testing.T) {
	s := mount(t)
	out, err := s.shell(`python3 - <<'END'
import mmap, os
fd = os.open(os.environ["S"] + "/images/a", os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 8192)
with mmap.mmap(fd, 8192) as m:
    m[5000:5006] = b"mapped"
os.close(fd)
END`)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := s.shelf.content(images, "a"); len(got) != 8192 || !bytes.Equal(got[5000:5006], []byte("mapped")) {
		t.Errorf("a holds %d bytes, not those mapped", len(got))
	}
}

func TestWrite_Unlinked(t *testing.T) {
	s := mount(t)
	f := s.open("images/a", create)
	mustWriteTo(t, f, []byte("x"))
	if err := os.Remove(s.path("images/a")); err != nil {
		t.Fatal(err)
	}
	mustWriteTo(t, f, []byte("y"))
	got := make([]byte, 2)
	if _, err := f.ReadAt(got, 0); err != nil || string(got) != "xy" {
		t.Errorf("reading an unlinked file: %q, %v", got, err)
	}
	if err := f.Chmod(0o600); err != nil {
		t.Errorf("chmod of an unlinked file: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	s.wantTable(images)
}

func TestManifest(t *testing.T) {
	s := mount(t)
	wantErrno(t, "a bad manifest", s.write("manifest.json", []byte("[]")), syscall.EINVAL)
	s.wantReport("manifest.json", "field tables")
	s.mustWrite("manifest.json", []byte("{}"))
	s.mustWrite("manifest.json", []byte(`{"again":true}`))
	s.wantStaged("", "images", "orders")
	if got, err := os.ReadFile(s.path("manifest.json")); err != nil || string(got) != `{"again":true}` {
		t.Errorf("the manifest reads %q, %v", got, err)
	}
}

// TestOnUnmount_OpenFile holds that what was open when the kernel dropped the mount is not taken for whole.
func TestOnUnmount_OpenFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN HERE: only root can force an unmount")
	}
	s := mount(t)
	f := s.open("images/half", create)
	mustWriteTo(t, f, []byte("half"))
	if err := syscall.Unmount(s.mnt, syscall.MNT_FORCE); err != nil && !errors.Is(err, syscall.EBUSY) {
		t.Fatal(err)
	}
	_ = f.Close() // not connected
	report := filepath.Join(s.dir, "tree/acme/sales/images/half.error")
	eventually(t, "the report", func() bool { _, err := os.Stat(report); return err == nil })
	s.restart()
	s.wantTable(images)
	s.wantStaged("images", "half", "half.error")
	s.mustWrite("images/half", []byte("whole"))
	s.wantTable(images, "half")
}
