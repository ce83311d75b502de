package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/internal/ingest"
)

// onTerminal is what fn writes to a terminal.
func onTerminal(t *testing.T, fn func(terminal *os.File)) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		t.Fatal(err)
	}
	var written bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&written, master) // ends with EIO when nobody has the terminal open any more
	}()
	fn(terminal)
	if err := terminal.Close(); err != nil {
		t.Fatal(err)
	}
	<-read
	return written.String()
}

// TestAdd_Progress holds that a person at a terminal sees how much of the bytes is done and how fast, and nobody else does.
func TestAdd_Progress(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	got := onTerminal(t, func(terminal *os.File) {
		report, finish := (&app{stdio: stdio{err: terminal}}).progress()
		for n := range int64(5) {
			report(ingest.Progress{Bytes: n * 1_000_000, TotalBytes: 8_000_000})
			time.Sleep(150 * time.Millisecond)
		}
		finish()
	})
	if want := regexp.MustCompile(`\(\d\.\d/8\.0 MB, \d+(\.\d+)? [kM]B/s\)`); !want.MatchString(got) {
		t.Errorf("progress: got %q, want one of bytes and a rate", got)
	}

	s := newShell(t)
	s.register("one")
	var out bytes.Buffer
	got = onTerminal(t, func(terminal *os.File) {
		a := &app{stdio: stdio{out: &out, err: terminal}}
		if err := a.run(t.Context(), []string{"add", "shop/sales/photos", s.write("a.jpg", make([]byte, 3_000_000))}); err != nil {
			t.Error(err)
		}
	})
	if !strings.Contains(got, "/3.0 MB") || out.Len() != 0 {
		t.Errorf("add at a terminal: wrote %q, and %q to stdout", got, out.String())
	}
	path := s.write("b.jpg", []byte("b"))
	if a := s.run("add", "shop/sales/photos", path); a.status != 0 || strings.ContainsAny(a.err, "\r\x1b%") {
		t.Errorf("add to a pipe: status %d, %q", a.status, a.err)
	}
	onTerminal(t, func(terminal *os.File) {
		for _, a := range []*app{{quiet: true}, {json: true}} {
			a.err = terminal
			if report, _ := a.progress(); report != nil {
				t.Errorf("quiet %v, json %v: shows progress", a.quiet, a.json)
			}
		}
	})
}
