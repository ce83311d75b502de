package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/annexfs/annexfs/registry"
)

// workerEnv makes the test binary a worker: another process that contends for the same database.
const workerEnv = "ANNEXFS_TEST_REGISTRY_WORKER"

// order is what a worker is told through its environment.
type order struct {
	Database, Dir string
	Seed          uint64
}

// worker is such a process.
type worker struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr *bytes.Buffer
}

// startWorker starts a process and waits until it has opened the database.
func startWorker(t *testing.T, e env, seed uint64) *worker {
	t.Helper()
	told, err := json.Marshal(order{Database: e.dbURL, Dir: e.dir, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{cmd: exec.CommandContext(t.Context(), exe), stderr: new(bytes.Buffer)}
	w.cmd.Env = append(os.Environ(), workerEnv+"="+string(told))
	w.cmd.Stderr = w.stderr
	stdin, inErr := w.cmd.StdinPipe()
	stdout, outErr := w.cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr); err != nil {
		t.Fatal(err)
	}
	w.stdin = stdin
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		t.Fatalf("worker: %v: %s", errors.Join(err, w.cmd.Wait()), w.stderr)
	}
	return w
}

// begin lets it work.
func (w *worker) begin(t *testing.T) {
	t.Helper()
	if err := w.stdin.Close(); err != nil {
		t.Fatal(err)
	}
}

// wait waits for its end, which has to be a good one.
func (w *worker) wait(t *testing.T) {
	t.Helper()
	if err := w.cmd.Wait(); err != nil {
		t.Errorf("worker: %v: %s", err, w.stderr)
	}
}

// workerMain is the worker's main function.
func workerMain() int {
	if err := runWorker(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runWorker(ctx context.Context) (err error) {
	var o order
	if err := json.Unmarshal([]byte(os.Getenv(workerEnv)), &o); err != nil {
		return err
	}
	db, store, err := open(ctx, o.Database, o.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close(), store.Close()) }()
	fmt.Print("+")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return work(ctx, registry.New(db, store), o.Seed)
}
