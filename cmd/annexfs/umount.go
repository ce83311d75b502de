package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	mount "github.com/annexfs/annexfs/fs"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/repo"
)

const (
	mountType = "fuse.annexfs"   // in /proc/self/mountinfo
	exitTime  = 30 * time.Second // how long a daemon may take to end after it was unmounted
	maxUsers  = 5                // processes that an error names
)

func (a *app) umountCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "umount MNT",
		Aliases: []string{"unmount"},
		Short:   "Unmount, and wait until the daemon is gone",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			point, err := realPath(args[0])
			if err != nil {
				return err
			}
			if err := a.umount(c.Context(), point); err != nil {
				return err
			}
			return a.done(struct {
				Mountpoint string `json:"mountpoint"`
			}{point}, "unmounted %s", point)
		},
	}
}

func (a *app) umount(ctx context.Context, point string) error {
	mounts, err := mount.MountsBelow(point)
	kind := mounts[point]
	switch {
	case err != nil:
		return err
	case kind == "":
		return errors.Join(a.forgetDead(point), fmt.Errorf("nothing is mounted on %s: %w", point, fs.ErrNotExist))
	case kind != mountType:
		return fmt.Errorf("what is mounted on %s is no annexfs but %s: %w", point, kind, fs.ErrInvalid)
	}
	pid, daemon := daemonOf(point)
	if daemon >= 0 {
		defer unix.Close(daemon)
	}
	if err := unmountAll(ctx, point, mounts); err != nil {
		return err
	}
	if daemon < 0 {
		return a.forgetDead(point)
	}
	return waitExit(ctx, pid, daemon)
}

// forgetDead cleans up after a daemon that died, if the repository can be found.
func (a *app) forgetDead(point string) error {
	dir, err := a.findRepo()
	if err != nil {
		return nil //nolint:nilerr // unmounting needs no repository
	}
	return forget(repo.RunDir(dir), point)
}

// daemonOf finds who serves the mount; the descriptor of the process is negative where nobody does.
func daemonOf(point string) (pid, fd int) {
	var s struct {
		PID int `json:"pid"`
	}
	data, err := readStatus(point)
	if err != nil || json.Unmarshal(data, &s) != nil || s.PID <= 0 {
		return 0, -1
	}
	if fd, err = unix.PidfdOpen(s.PID, 0); err != nil {
		return 0, -1
	}
	return s.PID, fd
}

// unmountAll unmounts the tree, and before it the staging tree inside it, which the daemon puts back if the tree is in use.
func unmountAll(ctx context.Context, point string, mounts map[string]string) error {
	for inner, kind := range mounts {
		if inner == point || kind != mountType {
			continue
		}
		if err := unmount(ctx, inner); err != nil {
			return err
		}
	}
	return unmount(ctx, point)
}

// unmount is umount(2) for root and fusermount3 for others. A mount in use is fault.ErrConflict.
func unmount(ctx context.Context, point string) error {
	var err error
	if os.Geteuid() == 0 {
		err = unix.Unmount(point, unix.UMOUNT_NOFOLLOW)
	} else {
		var out []byte
		out, err = exec.CommandContext(ctx, "fusermount3", "-u", "--", point).CombinedOutput()
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("fusermount3 is not in the PATH: an ordinary user needs it to unmount; "+
				"install your system's fuse3 package: %w", err)
		}
		if err != nil {
			err = errors.New(strings.TrimSpace(string(out)))
		}
	}
	if err == nil {
		return nil
	}
	if users := usersOf(point); errors.Is(err, unix.EBUSY) || len(users) > 0 {
		return fmt.Errorf("%w: %s is in use%s; end what uses it and try again", fault.ErrConflict, point, by(users))
	}
	return fmt.Errorf("unmount %s: %w", point, err)
}

func by(users []string) string {
	if len(users) == 0 {
		return ""
	}
	if more := len(users) - maxUsers; more > 0 {
		users = append(users[:maxUsers:maxUsers], fmt.Sprintf("%d more", more))
	}
	return " by " + strings.Join(users, ", ")
}

// usersOf names the processes that we may look at and that have something open at or below the path.
func usersOf(point string) []string {
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is good
	for _, name := range []string{"cwd", "root", "exe"} {
		more, _ := filepath.Glob("/proc/[0-9]*/" + name)
		links = append(links, more...)
	}
	seen := map[string]bool{}
	var users []string
	for _, link := range links {
		target, err := os.Readlink(link)
		pid := strings.Split(link, "/")[2]
		if err != nil || seen[pid] || target != point && !strings.HasPrefix(target, point+"/") {
			continue
		}
		seen[pid] = true
		name, _ := os.ReadFile("/proc/" + pid + "/comm") // gone: then without its name
		users = append(users, fmt.Sprintf("process %s (%s)", pid, strings.TrimSpace(string(name))))
	}
	return users
}

// waitExit waits until the process is gone.
func waitExit(ctx context.Context, pid, fd int) error {
	deadline := time.Now().Add(exitTime)
	for time.Now().Before(deadline) {
		if err := ctx.Err(); err != nil {
			return err
		}
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 100) // milliseconds, so that ctx is looked at
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for process %d: %w", pid, err)
		}
		if n > 0 {
			return nil
		}
	}
	return fmt.Errorf("unmounted, but the daemon, process %d, is still there after %s", pid, exitTime)
}
