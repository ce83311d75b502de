package filestore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/filestore"
)

const (
	childVariable = "ANNEXFS_FILESTORE_TEST_CHILD"
	rounds        = 10
	children      = 2
)

// TestMain is the program that gets killed too.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		fmt.Fprintln(os.Stderr, insertForEver(dir))
		os.Exit(1)
	}
	m.Run()
}

// insertForEver inserts files that other children insert too, and tells each key when it is there.
func insertForEver(dir string) error {
	s, err := filestore.Open(dir, filestore.Options{})
	if err != nil {
		return err
	}
	var g errgroup.Group
	for w := range 4 {
		g.Go(func() error {
			for i := 0; ; i++ {
				content := io.LimitReader(rand.NewChaCha8([32]byte{byte(w), byte(i), byte(i >> 8)}), int64(i%7)*100_000)
				key, _, err := s.Insert(context.Background(), content, "a.bin")
				if err != nil {
					return err
				}
				if _, err := fmt.Println(key); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

// TestStore_Crash kills processes that insert the same files at a random moment: every file that they were told is
// there is there, and no file that is there is less than whole.
func TestStore_Crash(t *testing.T) {
	s, dir := newStore(t)
	acknowledged := map[string]bool{}
	for range rounds {
		for line := range strings.Lines(killedChildren(t, dir)) {
			if key, whole := strings.CutSuffix(line, "\n"); whole {
				acknowledged[key] = true
			}
		}
	}
	for key := range acknowledged {
		if err := s.Verify(t.Context(), parseKey(t, key)); err != nil {
			t.Errorf("acknowledged: %v", err)
		}
	}
	listed := list(t, s)
	for _, key := range listed {
		if err := s.Verify(t.Context(), key); err != nil {
			t.Errorf("listed: %v", err)
		}
	}
	left, err := s.RemoveLeftovers(time.Now().Add(time.Hour))
	if err != nil {
		t.Error(err)
	}
	wantNoTemp(t, dir)
	t.Logf("%d kills: %d keys acknowledged, %d listed, %d leftovers removed", rounds*children, len(acknowledged), len(listed), left)
	if len(acknowledged) == 0 || len(listed) < len(acknowledged) {
		t.Errorf("%d keys acknowledged and %d listed", len(acknowledged), len(listed))
	}
}

// killedChildren starts children, lets them say something, kills them, and returns what they said.
func killedChildren(t *testing.T, dir string) string {
	t.Helper()
	said := make([]string, children)
	var g errgroup.Group
	for i := range children {
		g.Go(func() (err error) {
			said[i], err = killedChild(dir)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(said, "")
}

func killedChild(dir string) (said string, err error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+dir)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	// The moment is random by what the child has done, not by the clock.
	r := bufio.NewReader(out)
	var b strings.Builder
	for range 1 + rand.IntN(100) {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			break
		}
	}
	kill := cmd.Process.Kill()
	rest, readErr := io.ReadAll(r)
	b.Write(rest)
	_ = cmd.Wait() // it was killed
	if errors.Is(readErr, fs.ErrClosed) {
		readErr = nil
	}
	return b.String(), errors.Join(kill, readErr)
}
