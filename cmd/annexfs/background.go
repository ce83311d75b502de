package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/annexfs/annexfs/internal/repo"
)

// maxLog is the size in bytes beyond which a log is put aside when its mount starts again.
const maxLog = 10 << 20

// outcome is what the daemon tells the command that started it, once.
type outcome struct {
	Error  string `json:"error,omitempty"`
	Status int    `json:"status,omitempty"`
}

// readiness returns what tells the waiting command how mounting went. Only the first call does; without a descriptor
// none does.
func readiness(fd int) func(error) {
	if fd == 0 {
		return func(error) {}
	}
	syscall.CloseOnExec(fd) // fusermount3 must not keep the command waiting
	pipe := os.NewFile(uintptr(fd), "readiness")
	return func(err error) {
		if pipe == nil {
			return
		}
		var o outcome
		if err != nil {
			o = outcome{err.Error(), status(err)}
		}
		_ = json.NewEncoder(pipe).Encode(o) // nobody is left to be told
		_ = pipe.Close()
		pipe = nil
	}
}

// mountInBackground starts this program again as a daemon, waits until it serves, and prints the mount point.
func (a *app) mountInBackground(ctx context.Context, r *repo.Repo, point string) error {
	log, err := openLog(r.RunDir(), point)
	if err != nil {
		return err
	}
	defer log.Close()
	daemon, pipe, err := a.startDaemon(r.Dir, point, log)
	if err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	// The daemon has a session of its own, where no interrupt from the terminal arrives.
	forward := context.AfterFunc(ctx, func() { _ = daemon.Process.Signal(syscall.SIGTERM) })
	var o outcome
	err = json.NewDecoder(pipe).Decode(&o)
	_ = pipe.Close()
	if !forward() {
		return errors.Join(ctx.Err(), ignoreExit(daemon.Wait()))
	}
	switch {
	case err != nil:
		return fmt.Errorf("the daemon died, its last words may be in %s: %w", log.Name(), errors.Join(err, daemon.Wait()))
	case o.Error != "":
		return errors.Join(&statusError{o.Error, o.Status}, ignoreExit(daemon.Wait()))
	}
	row := mountRow{Mountpoint: point, PID: daemon.Process.Pid, Log: log.Name()}
	if err := daemon.Process.Release(); err != nil {
		return err
	}
	return a.show(row, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, point)
		return err
	})
}

// ignoreExit leaves out that the daemon has failed: it has told why.
func ignoreExit(err error) error {
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil
	}
	return err
}

// startDaemon returns the daemon and what it tells through its descriptor 3.
func (a *app) startDaemon(dir, point string, log *os.File) (*exec.Cmd, *os.File, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	in, out, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer out.Close()
	args := []string{"mount", "--foreground", "--ready-fd=3", "--repo=" + dir}
	if a.verbose {
		args = append(args, "--verbose")
	}
	daemon := exec.Command(program, append(args, "--", point)...)
	daemon.Dir = "/" // keep no directory busy
	daemon.Stdout, daemon.Stderr = log, log
	daemon.ExtraFiles = []*os.File{out}
	daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := daemon.Start(); err != nil {
		return nil, nil, errors.Join(err, in.Close())
	}
	return daemon, in, nil
}

func openLog(dir, point string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, recordName(point)+".log")
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		if err := os.Rename(path, path+".old"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
}
