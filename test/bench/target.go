package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// target is one way to the files: the plain ones, annexfs, or a peer that shows the directory of plain files.
type target struct {
	name    string
	absent  string // why it is not run here
	user    *syscall.Credential
	command []string // that serves the mount in the foreground; nil for plain files
	annexfs bool
	bare    bool
	mnt     string
	base    string // directory of the tables

	daemon *daemon
}

func (t *target) isPeer() bool { return t.command != nil && !t.annexfs && !t.bare }

// daemon is a running file system.
type daemon struct {
	cmd  *exec.Cmd
	log  bytes.Buffer
	done chan struct{}
}

const (
	plainName   = "plain files"
	annexfsRoot = "annexfs, root"
	annexfsUser = "annexfs, user"
)

// everyTarget is all there are, the plain files first.
func (b *bed) everyTarget(ctx context.Context) []*target {
	tree := b.path("tree")
	all := []*target{{name: plainName, base: tree},
		b.annexfsTarget(annexfsRoot, "repo-root", nil), b.annexfsTarget(annexfsUser, "repo", b.user)}
	loopback := b.mount("go-fuse loopback")
	loopback.command = []string{b.path("bin", "loopback"), "-q", "-allow-other", "-ro", loopback.mnt, tree}
	if out, err := b.goBuild(ctx, loopback.command[0], "github.com/hanwen/go-fuse/v2/example/loopback"); err != nil {
		loopback.absent = fmt.Sprintf("it does not build: %v %s", err, out)
	}
	rclone := b.mount("rclone mount")
	rclone.command = []string{filepath.Join(b.root, ".tools", "bin", "rclone"), "mount", tree, rclone.mnt, "--allow-other", "--read-only", "--config", "/dev/null"}
	bindfs := b.mount("bindfs")
	bindfs.command = []string{"bindfs", "-f", "-r", tree, bindfs.mnt}
	peers := []*target{loopback, rclone, bindfs, b.bareTarget(barePassed, tree), b.bareTarget(bareCached, tree)}
	for _, peer := range peers {
		if _, err := exec.LookPath(peer.command[0]); err != nil && peer.absent == "" {
			peer.absent = "it is not installed; `make bench` installs it"
		}
		if b.user == nil && peer.absent == "" {
			peer.absent = "needs root"
		}
		peer.base = peer.mnt
	}
	return append(all, peers...)
}

func (b *bed) bareTarget(name, tree string) *target {
	t := b.mount(name)
	t.bare = true
	text, err := json.Marshal(job{Work: "bare", Dir: t.mnt, Tree: tree, Cached: name == bareCached})
	if err != nil {
		t.absent = err.Error()
	}
	t.command = []string{b.worker, "-worker", string(text)}
	return t
}

func (b *bed) mount(name string) *target {
	return &target{name: name, mnt: b.path("mnt", strings.NewReplacer(", ", "-", " ", "-").Replace(name))}
}

func (b *bed) annexfsTarget(name, repo string, user *syscall.Credential) *target {
	t := b.mount(name)
	t.user, t.annexfs = user, true
	t.command = []string{b.annexfs, "--repo", b.path(repo), "mount", "--foreground", t.mnt}
	t.base = filepath.Join(t.mnt, benchDataset, "@"+benchVersion)
	root := name == annexfsRoot
	if root && b.user == nil {
		t.absent = "needs root"
	}
	if info, err := os.Stat("/dev/fuse"); !root && (err != nil || info.Mode().Perm() != 0o666) {
		t.absent = "/dev/fuse is not open to ordinary users (mode 0666)"
	}
	return t
}

func (b *bed) goBuild(ctx context.Context, out, pkg string) (string, error) {
	cmd := b.command(ctx, nil, "go", "build", "-o", out, pkg)
	cmd.Dir, cmd.Env = b.root, append(os.Environ(), "CGO_ENABLED=0")
	text, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(text)), err
}

// start mounts, and returns how long that took.
func (b *bed) start(ctx context.Context, t *target) (time.Duration, error) {
	if t.command == nil {
		return 0, nil
	}
	if err := b.mkdir(t.mnt); err != nil {
		return 0, err
	}
	begin := time.Now()
	d := &daemon{done: make(chan struct{})}
	// It outlives ctx: stop ends it, after what is mounted on it.
	d.cmd = b.command(context.WithoutCancel(ctx), t.user, t.command[0], t.command[1:]...)
	d.cmd.Stdout, d.cmd.Stderr = &d.log, &d.log
	if err := d.cmd.Start(); err != nil {
		return 0, err
	}
	go func() {
		defer close(d.done)
		_ = d.cmd.Wait() // what it says is in the log
	}()
	t.daemon = d
	for !mounted(t.mnt) {
		select {
		case <-d.done:
			return 0, fmt.Errorf("%s ended before it had mounted: %s", t.name, d.log.String())
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Millisecond):
		}
		if time.Since(begin) > patience {
			return 0, fmt.Errorf("%s has not mounted after %v", t.name, patience)
		}
	}
	took := time.Since(begin)
	// The first request is answered when the daemon serves.
	_, err := b.output(ctx, b.user, "stat", t.base)
	return took, err
}

// stop has the daemon unmount and end: by asking, then by force. It does nothing where nothing runs.
func (t *target) stop() error {
	d := t.daemon
	if d == nil {
		return nil
	}
	t.daemon = nil
	err := d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
		return detach(t.mnt) // if it died, the mount is left
	case <-time.After(patience):
	}
	// A mount stays alive in the mount namespaces that others made meanwhile, and its daemon serves it there.
	say("%s still serves after %v: killed", t.name, patience)
	return errors.Join(err, detach(t.mnt), d.kill())
}

func (d *daemon) kill() error {
	err := d.cmd.Process.Kill()
	<-d.done
	return err
}

// detach takes away whatever is mounted on point.
func detach(point string) error {
	for range 10 {
		if !mounted(point) {
			return nil
		}
		if os.Getuid() == 0 {
			if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
				return fmt.Errorf("unmounting %s: %w", point, err)
			}
		} else if out, err := exec.Command("fusermount3", "-u", "-z", point).CombinedOutput(); err != nil {
			return fmt.Errorf("unmounting %s: %w: %s", point, err, out)
		}
	}
	return fmt.Errorf("%s stays mounted", point)
}

func mounted(point string) bool {
	mounts, err := os.ReadFile("/proc/self/mounts")
	return err == nil && bytes.Contains(mounts, []byte(" "+point+" "))
}
