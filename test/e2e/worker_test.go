package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/annexfs/annexfs/test/harness"
)

// worker is a Python process that writes and queries parquet, see testdata/worker.py. It ends when its input does.
type worker struct {
	mu    sync.Mutex
	in    *json.Encoder
	out   *json.Decoder
	input io.Closer
	cmd   *exec.Cmd
	log   *os.File // what it says on the side, without a name
}

// workerError is what would have ended a script.
type workerError string

func (e workerError) Error() string { return string(e) }

// workerPool keeps a worker for each user, because they are slow to start.
type workerPool struct {
	mu    sync.Mutex
	byUID map[int]*worker
}

// workers of all tests of this process. Their input ends with it.
var workers workerPool

func (p *workerPool) of(t *testing.T, u harness.User) *worker {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.byUID[u.UID]; w != nil {
		return w
	}
	if p.byUID == nil {
		p.byUID = map[int]*worker{}
	}
	p.byUID[u.UID] = newWorker(t, u, "worker.py")
	return p.byUID[u.UID]
}

// newWorker starts a script of testdata that runs as the user.
func newWorker(t *testing.T, u harness.User, script string) *worker {
	t.Helper()
	log, err := os.CreateTemp("", "annexfs-worker-")
	if err == nil {
		err = os.Remove(log.Name())
	}
	if err != nil {
		t.Fatal(err)
	}
	root := harness.Root(t)
	cmd := exec.Command(filepath.Join(root, ".venv/bin/python"), filepath.Join(root, "test/e2e/testdata", script))
	cmd.Env = append(os.Environ(), "PYTHONWARNINGS=ignore", "ANNEXFS_TEST_UID="+itoa(u.UID), "ANNEXFS_TEST_GID="+itoa(u.GID))
	cmd.Stderr = log
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr); err != nil {
		t.Fatal(err)
	}
	started := make(chan error)
	go func() { started <- cmd.Start() }() // on a thread that is not the user's: see harness.Python
	if err := <-started; err != nil {
		t.Fatalf("%v (`make tools` makes the Python environment)", err)
	}
	return &worker{in: json.NewEncoder(in), out: json.NewDecoder(out), input: in, cmd: cmd, log: log}
}

// do has the worker do something. What it says of a failure is a workerError.
func (w *worker) do(what string, args ...string) (json.RawMessage, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.in.Encode(append([]string{what}, args...)); err != nil {
		return nil, fmt.Errorf("%w; it says\n%s", err, w.said())
	}
	var answer struct {
		Value json.RawMessage
		Error workerError
	}
	if err := w.out.Decode(&answer); err != nil {
		return nil, fmt.Errorf("%w; it says\n%s", err, w.said())
	}
	if answer.Error != "" {
		return nil, answer.Error
	}
	return answer.Value, nil
}

// said is what a worker has said on the side, which is of interest once it has failed.
func (w *worker) said() string {
	text, err := io.ReadAll(io.NewSectionReader(w.log, 0, 1<<20))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// stop ends a worker and waits for it.
func (w *worker) stop(t *testing.T) {
	t.Helper()
	_ = w.input.Close() // it ends then
	if err := closeAll(w.cmd.Wait(), w.log); err != nil {
		t.Errorf("a worker ended with %v", err)
	}
}
