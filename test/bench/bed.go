package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const patience = 20 * time.Second // for a process to end, and for a mount to come

// bed is where the benchmark runs: directories, the ordinary user, and what must be undone.
type bed struct {
	flags
	root    string // of the source tree
	dir     string // scratch
	worker  string // this program, where the ordinary user may run it
	python  string
	user    *syscall.Credential // nil: whoever runs this is the ordinary user
	cleanup []func() error
}

// newBed makes the scratch directory. The caller closes the bed, also after an error.
func newBed(f flags) (*bed, error) {
	b := &bed{flags: f}
	var err error
	if b.root, err = os.Getwd(); err != nil {
		return b, err
	}
	b.python = filepath.Join(b.root, ".venv", "bin", "python")
	if b.annexfs, err = filepath.Abs(f.annexfs); err != nil {
		return b, err
	}
	if b.dir = f.dir; b.dir == "" {
		if b.dir, err = os.MkdirTemp("", "annexfs-bench-"); err != nil {
			return b, err
		}
		b.undo(func() error { return os.RemoveAll(b.dir) })
	}
	if b.dir, err = filepath.Abs(b.dir); err != nil {
		return b, err
	}
	if os.Getuid() == 0 {
		if b.user, err = ordinary(); err != nil {
			return b, err
		}
	}
	for _, d := range []string{b.dir, b.path("bin"), b.path("mnt"), b.path("home")} {
		if err := b.mkdir(d); err != nil {
			return b, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return b, err
	}
	b.worker = b.path("bin", "bench")
	return b, errors.Join(copyFile(self, b.worker, 0o755), b.placeAnnexfs())
}

// placeAnnexfs puts the program where the ordinary user may run it.
func (b *bed) placeAnnexfs() error {
	placed := b.path("bin", "annexfs")
	err := copyFile(b.annexfs, placed, 0o755)
	b.annexfs = placed
	return err
}

func ordinary() (*syscall.Credential, error) {
	u, err := user.Lookup("nobody")
	if err != nil {
		return nil, err
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(uidErr, gidErr)
}

func (b *bed) path(names ...string) string {
	return filepath.Join(append([]string{b.dir}, names...)...)
}

// mkdir makes a directory of the ordinary user's.
func (b *bed) mkdir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if b.user == nil {
		return nil
	}
	return errors.Join(os.Chmod(dir, 0o755), os.Chown(dir, int(b.user.Uid), int(b.user.Gid)))
}

func (b *bed) undo(fn func() error) { b.cleanup = append(b.cleanup, fn) }

// close undoes everything, the last first.
func (b *bed) close() error {
	var errs []error
	for i := len(b.cleanup) - 1; i >= 0; i-- {
		errs = append(errs, b.cleanup[i]())
	}
	b.cleanup = nil
	return errors.Join(errs...)
}

// command is a program in an environment of the benchmark's, in a process group of its own, so that Ctrl-C reaches it
// through ctx only.
func (b *bed) command(ctx context.Context, as *syscall.Credential, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: as}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=" + b.path("home"), "LC_ALL=C.UTF-8",
		"ANNEXFS_REPO=" + b.path("repo"), "PYTHONDONTWRITEBYTECODE=1"}
	if b.user != nil {
		cmd.Env = append(cmd.Env, fmt.Sprintf("ANNEXFS_TEST_UID=%d", b.user.Uid), fmt.Sprintf("ANNEXFS_TEST_GID=%d", b.user.Gid))
	} else {
		cmd.Env = append(cmd.Env, fmt.Sprintf("ANNEXFS_TEST_UID=%d", os.Getuid()), fmt.Sprintf("ANNEXFS_TEST_GID=%d", os.Getgid()))
	}
	return cmd
}

// output runs a program and returns what it printed; an error says what it complained of.
func (b *bed) output(ctx context.Context, as *syscall.Credential, name string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := b.command(ctx, as, name, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(name), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// do has a worker do a job.
func (b *bed) do(ctx context.Context, j job) (outcome, error) {
	text, err := json.Marshal(j)
	if err != nil {
		return outcome{}, err
	}
	out, err := b.output(ctx, b.user, b.worker, "-worker", string(text))
	if err != nil || j.Work == "fill" {
		return outcome{}, err
	}
	var o outcome
	return o, json.Unmarshal([]byte(out), &o)
}

// query measures DuckDB.
func (b *bed) query(ctx context.Context, dir string, r Row) (outcome, error) {
	state := "warm"
	if r.state == cold {
		state = "cold"
	}
	// The Python environment may lie where the ordinary user cannot go: the script becomes that user by itself.
	out, err := b.output(ctx, nil, b.python, filepath.Join(b.root, "test/bench/query.py"), filepath.Join(dir, "*.parquet"),
		filepath.Join(b.data(b.ParquetFiles), "queries"), strings.TrimPrefix(r.work, queryPrefix), strconv.Itoa(r.n), state)
	if err != nil {
		return outcome{}, err
	}
	var o outcome
	return o, json.Unmarshal([]byte(out), &o)
}

// dropCaches has the kernel forget: 1 pages, 2 names and inodes, 3 both.
func dropCaches(what string) error {
	syscall.Sync()
	return os.WriteFile("/proc/sys/vm/drop_caches", []byte(what), 0)
}

func copyFile(from, to string, mode os.FileMode) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // it was only read
	_ = os.Remove(to)                  // of a former run; a running program could not be written over
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}
