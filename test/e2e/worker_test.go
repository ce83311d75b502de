package e2e_test

import (
	"encoding/json"
	"errors"
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
	p.byUID[u.UID] = newWorker(t, u, "worker.py", os.Stderr)
	return p.byUID[u.UID]
}

// newWorker starts a script of testdata that runs as the user.
func newWorker(t *testing.T, u harness.User, script string, stderr io.Writer) *worker {
	t.Helper()
	root := harness.Root(t)
	cmd := exec.Command(filepath.Join(root, ".venv/bin/python"), filepath.Join(root, "test/e2e/testdata", script))
	cmd.Env = append(os.Environ(), "PYTHONWARNINGS=ignore", "ANNEXFS_TEST_UID="+itoa(u.UID), "ANNEXFS_TEST_GID="+itoa(u.GID))
	cmd.Stderr = stderr
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
	return &worker{in: json.NewEncoder(in), out: json.NewDecoder(out), input: in, cmd: cmd}
}

// do has the worker do something. What it says of a failure is a workerError.
func (w *worker) do(what string, args ...string) (json.RawMessage, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.in.Encode(append([]string{what}, args...)); err != nil {
		return nil, err
	}
	var answer struct {
		Value json.RawMessage
		Error workerError
	}
	if err := w.out.Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, answer.Error
	}
	return answer.Value, nil
}

// stop ends a worker and waits for it.
func (w *worker) stop(t *testing.T) {
	t.Helper()
	if err := errors.Join(w.input.Close(), w.cmd.Wait()); err != nil {
		t.Errorf("a worker ended with %v", err)
	}
}
