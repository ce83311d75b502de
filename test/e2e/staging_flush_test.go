package e2e_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/annexfs/annexfs/test/harness"
)

// writer is an open file in staging, written to step by step.
type writer struct {
	t *testing.T
	*os.File
}

func create(t *testing.T, path string) *writer {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() }) // of a test that failed
	return &writer{t, f}
}

// add writes more, which must succeed.
func (w *writer) add(content string) {
	w.t.Helper()
	if _, err := w.WriteString(content); err != nil {
		w.t.Fatalf("writing: %v", err)
	}
}

// flush closes a duplicate of the descriptor, which the kernel reports as FLUSH.
func (w *writer) flush() error {
	w.t.Helper()
	fd, err := syscall.Dup(int(w.Fd()))
	if err != nil {
		w.t.Fatal(err)
	}
	return syscall.Close(fd)
}

// inherit has another process hold the file for a moment, and end.
func (w *writer) inherit() {
	w.t.Helper()
	cmd := exec.Command("true")
	cmd.ExtraFiles = []*os.File{w.File}
	if err := cmd.Run(); err != nil {
		w.t.Fatalf("a child that inherits the file ends with %v", err)
	}
}

// TestStaging_Flush holds what FLUSH means to a parquet file that is written through one descriptor: nothing before
// the first byte, nothing from who merely inherited it, the verdict on all that is there from its opener, the same one
// again when nothing was written since, and a new one on what comes later.
func TestStaging_Flush(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		b := newBed(t, u, harness.Backend{}, tables{"orders": orderTable, "photos": filesTable})
		flushParquet(t, b)
		flushFiles(t, b)
	})
}

func flushParquet(t *testing.T, b *bed) {
	t.Helper()
	content := harness.ReadFile(t, b.source(t, 0, 1000))
	path := b.staging("orders/a.parquet")
	w := create(t, path)
	succeeds(t, "FLUSH before the first byte", w.flush())
	w.inherit()
	w.add(content[:5000])
	w.inherit()
	missing(t, path+".error")
	fails(t, "FLUSH of half a file", w.flush(), syscall.EINVAL)
	fails(t, "FLUSH again", w.flush(), syscall.EINVAL)
	report(t, path, syscall.EINVAL, "truncated")
	w.add(content[5000:])
	b.holds(t, "orders", 0, 0)
	succeeds(t, "FLUSH of the whole file", w.flush())
	missing(t, path+".error")
	b.holds(t, "orders", 1, 1000)
	succeeds(t, "FLUSH again", w.flush())

	// The one who published it may correct it.
	if _, err := w.WriteAt([]byte("????"), int64(len(content)-4)); err != nil {
		t.Fatalf("writing on after it was published: %v", err)
	}
	fails(t, "FLUSH of what was damaged since", w.flush(), syscall.EINVAL)
	report(t, path, syscall.EINVAL, "not a usable parquet file")
	b.holds(t, "orders", 1, 1000)
	other := harness.ReadFile(t, b.source(t, 0, 50))
	if err := errors.Join(w.Truncate(0), seekStart(w.File)); err != nil {
		t.Fatal(err)
	}
	w.add(other)
	succeeds(t, "close of what was corrected", w.Close())
	b.holds(t, "orders", 1, 50)
	unstaged(t, b.staging("orders"))
}

func flushFiles(t *testing.T, b *bed) {
	t.Helper()
	path, published := b.staging("photos/a.jpg"), b.table("photos/a.jpg")
	w := create(t, path)
	succeeds(t, "FLUSH before the first byte", w.flush())
	w.add("first")
	w.inherit()
	missing(t, published)
	w.add(" second")
	succeeds(t, "FLUSH by the opener", w.flush())
	equal(t, "what is published", harness.ReadFile(t, published), "first second")
	w.add(" third")
	succeeds(t, "close", w.Close())
	harness.Eventually(t, soon, func() string {
		return differ("what is published", harness.ReadFile(t, published), "first second third")
	})
	listed(t, b.table("photos"), "a.jpg")
}

func seekStart(f *os.File) error {
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// TestStaging_FlushShell holds that a shell which opened a file, and whose children write it, publishes it once it is
// closed, and that a refusal which the shell does not tell is told beside the file. (dash duplicates and closes the
// descriptor itself around each child: there are verdicts on the way.)
func TestStaging_FlushShell(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		b := newBed(t, u, harness.Backend{}, tables{"orders": orderTable})
		const script = `exec 3>"$2"; head -c 5000 "$1" >&3; /bin/true 3>&3; `
		source, path := b.source(t, 0, 1000), b.staging("orders/a.parquet")
		ignored := b.Exec("sh", "-c", script+`exec 3>&-; echo goes on`, "sh", source, path)
		equal(t, "exit status of a shell that does not look at close", ignored.Code, 0)
		equal(t, "what it says", ignored.Stdout, "goes on\n")
		report(t, path, syscall.EINVAL, "truncated")
		staged(t, b.staging("orders"), "a.parquet")
		b.holds(t, "orders", 0, 0)

		b.MustExec("sh", "-ec", script+`tail -c +5001 "$1" >&3`, "sh", source, path)
		b.holds(t, "orders", 1, 1000)
		unstaged(t, b.staging("orders"))
	})
}

// TestStaging_LastWrite holds that the write which ends in parquet's magic is refused itself where the file is, for
// those who do not look at close, and that close says so again.
func TestStaging_LastWrite(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		b := newBed(t, u, harness.Backend{}, tables{"orders": orderTable})
		content := harness.ReadFile(t, b.foreign(t))
		path := b.staging("orders/in-order.parquet")
		w := create(t, path)
		w.add(content[:1000])
		_, err := w.WriteString(content[1000:])
		fails(t, "the last write in order", err, syscall.EINVAL)
		fails(t, "close", w.Close(), syscall.EINVAL)
		report(t, path, syscall.EINVAL, "schema")

		path = b.staging("orders/out-of-order.parquet")
		w = create(t, path)
		if _, err := w.WriteAt([]byte(content[1000:]), 1000); err != nil {
			t.Errorf("a write out of order: got %v, want no verdict yet", err)
		}
		if _, err := w.WriteAt([]byte(content[:1000]), 0); err != nil {
			t.Errorf("a write out of order: got %v, want no verdict yet", err)
		}
		fails(t, "close", w.Close(), syscall.EINVAL)
		report(t, path, syscall.EINVAL, "schema")
		equal(t, "what is left", harness.ReadFile(t, path), content)
	})
}

// TestStaging_Rewritten holds that the hash of what is published is that of the bytes, however they were written.
func TestStaging_Rewritten(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		b := newBed(t, u, harness.Backend{}, tables{"photos": filesTable})
		w := create(t, b.staging("photos/a.bin"))
		w.add(strings.Repeat("x", 300_000))
		for _, step := range []struct {
			text string
			at   int64
		}{{"early", 10}, {"late", 500_000}, {"overlapping", 299_995}} {
			if _, err := w.WriteAt([]byte(step.text), step.at); err != nil {
				t.Fatal(err)
			}
		}
		succeeds(t, "truncating", w.Truncate(400_000))
		succeeds(t, "close", w.Close())
		want := strings.Repeat("x", 10) + "early" + strings.Repeat("x", 299_980) + "overlapping" + strings.Repeat("\x00", 99_994)
		path := b.table("photos/a.bin")
		equal(t, "content as written", harness.ReadFile(t, path) == want, true)
		equal(t, "sha256", getxattr(t, path, "user.annexfs.sha256"), hashOf(want))
	})
}

// TestStaging_Killed holds that nothing is published for a writer that a signal killed, not even what looks whole.
func TestStaging_Killed(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		b := newBed(t, u, harness.Backend{}, tables{"orders": orderTable, "photos": filesTable})
		content := harness.ReadFile(t, b.source(t, 0, 100))
		for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT} {
			for _, path := range []string{"photos/" + itoa(int(signal)) + ".jpg", "orders/" + itoa(int(signal)) + ".parquet"} {
				killWriter(t, b, b.staging(path), content, signal)
				harness.Eventually(t, 5*time.Second, func() string { return exists(b.staging(path)+".error", true) })
				report(t, b.staging(path), syscall.EINTR, "killed")
				equal(t, "what is left", harness.ReadFile(t, b.staging(path)), content)
			}
		}
		listed(t, b.table("photos"))
		b.holds(t, "orders", 0, 0)

		b.MustExec("cp", b.source(t, 0, 100), b.staging("orders/9.parquet"))
		b.holds(t, "orders", 1, 100)
		missing(t, b.staging("orders/9.parquet.error"))
	})
}

// killWriter kills a program that has written the content and has not closed the file.
func killWriter(t *testing.T, b *bed, path, content string, signal syscall.Signal) {
	t.Helper()
	cmd := b.Command("sh", "-c", `exec cat > "$1"`, "sh", path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, content); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, 5*time.Second, func() string {
		info, err := os.Stat(path)
		if err != nil || info.Size() != int64(len(content)) {
			return filepath.Base(path) + " is not written yet"
		}
		return ""
	})
	if err := cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Errorf("the writer outlived %v", signal)
	}
	_ = in.Close()
}
