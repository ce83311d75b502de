package ingest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/filestore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/ingest"
	"github.com/annexfs/annexfs/internal/objects"
)

const killVariable = "ANNEXFS_INGEST_TEST_KILL"

// killVictim is what a process is to publish, and where it dies.
type killVictim struct {
	URL, Objects, Files, Staging string
	Table, Step                  string
	Count                        int // how often it passes the step
	Batch                        ingest.Batch
}

// TestKillVictim is no test of its own: it is what TestIngester_Kill kills.
func TestKillVictim(t *testing.T) {
	var v killVictim
	if json.Unmarshal([]byte(os.Getenv(killVariable)), &v) != nil {
		return
	}
	store, err := objects.Open(t.Context(), v.Objects)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filestore.Open(v.Files, filestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{url: v.URL, Options: ingest.Options{Objects: store, Files: files, Staging: v.Staging}}
	f.open(t)
	f.TrustStore()
	var left atomic.Int64
	left.Store(int64(v.Count))
	f.FailAt(func(step string) error {
		if step != v.Step || left.Add(-1) > 0 { // files are stored several at once
			return nil
		}
		return errors.Join(syscall.Kill(os.Getpid(), syscall.SIGKILL), context.Canceled)
	})
	if _, err := f.Publish(t.Context(), f.tableOf(t, v.Table), v.Batch); err != nil {
		t.Fatal(err)
	}
	f.settle(t)
}

// TestIngester_Kill kills a process at each step of publishing: after Recover a batch is there whole or not at all, what
// is not there is staged, no lock stays, and publishing what is staged gives the same in the end.
func TestIngester_Kill(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, to := range []string{"acme/crm/people", "acme/crm/photos"} {
			for _, files := range []int{1, 3} {
				for _, replace := range []bool{false, true} {
					for _, step := range []string{"store", "stored", "registered"} {
						t.Run(fmt.Sprintf("%s/%d/%t/%s", filepath.Base(to), files, replace, step), func(t *testing.T) {
							f.kill(t, to, files, replace, step)
						})
					}
				}
			}
		}
		f.wantNothingLeft(t)
	})
}

func (f *fixture) kill(t *testing.T, to string, files int, replace bool, step string) {
	v := f.victim(to, step, ingest.Batch{Replace: replace})
	if step == "store" {
		v.Count = files
	}
	for n := range files {
		f.ids++
		v.Batch.Files = append(v.Batch.Files, f.stagePeople(t, fmt.Sprintf("k%d-%d.parquet", f.ids, n), f.ids*100, 1))
	}
	before := f.active(t, to)
	stagedBefore := staged(t, v.Batch)
	f.die(t, v)
	g := f.again(t)
	if err := g.Recover(t.Context()); err != nil {
		t.Fatalf("Recover: %v", err)
	}
	defer func() {
		if err := g.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	if rev, ok := g.revision(t, to); ok && rev.Writer != 0 {
		t.Errorf("job %d has its lock still", rev.Writer)
	}
	got := g.active(t, to)
	if step == "registered" {
		want := len(before) + files
		if replace {
			want = files
		}
		if len(got) != want {
			t.Errorf("active: got %v, want %d files", got, want)
		}
		return
	}
	if diff := cmp.Diff(before, got); diff != "" {
		t.Errorf("active (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(stagedBefore, staged(t, v.Batch)); diff != "" {
		t.Errorf("staged (-before +after):\n%s", diff)
	}
	g.publish(t, to, v.Batch)
}

// victim is one that dies when it comes to the step.
func (f *fixture) victim(to, step string, b ingest.Batch) killVictim {
	return killVictim{URL: f.url, Objects: "file://" + f.dir, Files: filepath.Dir(filepath.Dir(filepath.Dir(f.Options.Files.Path(dataset.Key{})))),
		Staging: f.Staging, Table: to, Step: step, Count: 1, Batch: b}
}

// die runs a process that publishes and must be killed.
func (f *fixture) die(t *testing.T, v killVictim) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKillVictim$")
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, killVariable) }), killVariable+"="+string(data))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !exit.Sys().(syscall.WaitStatus).Signaled() {
		t.Fatalf("the process ended by itself: %v\n%s", err, out)
	}
}
