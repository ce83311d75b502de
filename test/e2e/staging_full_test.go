package e2e_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/annexfs/annexfs/test/harness"
)

// space is the size of the small file systems, but for those that hold a whole repository.
const space = 64 << 20

// small mounts a small file system of the user's on an existing directory.
type small func(t *testing.T, dir string, u harness.User, bytes int)

// TestStaging_Full holds that a full disk is told by ENOSPC and a used up quota by EDQUOT, wherever it is met: where
// files are staged, where objects are kept, and where both are; and that the next attempt works once there is space.
func TestStaging_Full(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT RUN HERE: mounting small file systems needs root")
	}
	for _, dir := range []string{"staging", "objects", "files", "."} {
		for _, u := range harness.Users(t) {
			t.Run(strings.Replace(dir, ".", "all", 1)+"/"+u.Name, func(t *testing.T) {
				full(t, u, dir, tmpfs, syscall.ENOSPC)
			})
		}
	}
	for _, u := range harness.Users(t) {
		t.Run("quota/"+u.Name, func(t *testing.T) {
			needs(t, "mkfs.btrfs", "btrfs")
			full(t, u, "staging", quota, syscall.EDQUOT)
		})
	}
}

// full runs with one directory of the repository on a small file system.
func full(t *testing.T, u harness.User, dir string, mount small, want syscall.Errno) {
	t.Helper()
	base := harness.Dir(t)
	if err := os.Chown(base, u.UID, u.GID); err != nil {
		t.Fatal(err)
	}
	repo := filepath.Join(base, "repo")
	path := filepath.Join(repo, dir)
	if dir == "." {
		path = base
		mount(t, path, u, 2*space)
	}
	harness.As(t, "init", u, func(t *testing.T) {
		harness.Open(t, u, repo, harness.Backend{}).Must("init", repo)
	})
	if dir != "." {
		mount(t, path, u, space)
	}
	harness.As(t, "write", u, func(t *testing.T) {
		r := harness.Open(t, u, repo, harness.Backend{})
		r.Register("shop/sales", tables{"orders": orderTable, "photos": filesTable}.manifest(t))
		fill(t, &bed{Repo: r, Mount: r.Mount(), in: harness.Dir(t)}, path, want)
	})
}

// fill fills the small file system but for too little, and copies.
func fill(t *testing.T, b *bed, path string, want syscall.Errno) {
	t.Helper()
	source := b.source(t, 0, 20_000) // some 300 kB
	ballast := filepath.Join(path, "ballast")
	leaveFree(t, ballast, 100_000)
	says := map[syscall.Errno]string{syscall.ENOSPC: "No space left on device", syscall.EDQUOT: "Disk quota exceeded"}[want]
	where := filepath.Base(path)
	if where != "files" {
		refused(t, b.Exec("cp", source, b.staging("orders/a.parquet")), 1, says)
		b.holds(t, "orders", 0, 0)
	}
	if where != "objects" {
		refused(t, b.Exec("cp", source, b.staging("photos/a.jpg")), 1, says)
		listed(t, b.table("photos"))
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	b.MustExec("cp", source, b.staging("orders/a.parquet"))
	b.MustExec("cp", source, b.staging("photos/a.jpg"))
	b.holds(t, "orders", 1, 20_000)
	listed(t, b.table("photos"), "a.jpg")
	unstaged(t, b.staging("orders"))
}

// leaveFree writes a file of ballast until nothing is left but so many bytes.
func leaveFree(t *testing.T, ballast string, bytes int) {
	t.Helper()
	room := ballast + ".room" // a file can be removed where a quota is used up, not made shorter
	if err := os.WriteFile(room, make([]byte, bytes), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 4096)
	for range 2 * space / len(block) {
		if _, err := f.Write(block); err != nil {
			break
		}
	}
	if err := closeAll(errors.Join(f.Sync(), os.Remove(room)), f); err != nil {
		t.Fatal(err)
	}
}

func tmpfs(t *testing.T, dir string, u harness.User, bytes int) {
	t.Helper()
	mount(t, u, "-t", "tmpfs", "-o", "mode=755,size="+itoa(bytes), "tmpfs", dir)
}

// quota limits a part of a larger file system.
func quota(t *testing.T, dir string, u harness.User, bytes int) {
	t.Helper()
	base := harness.Dir(t)
	image, whole := filepath.Join(base, "image"), filepath.Join(base, "whole")
	if err := errors.Join(os.Mkdir(whole, 0o755), os.WriteFile(image, nil, 0o600), os.Truncate(image, 4*space)); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.btrfs", "-q", image)
	mount(t, harness.User{}, "-o", "loop", image, whole)
	part := filepath.Join(whole, "part")
	run(t, "btrfs", "subvolume", "create", part)
	run(t, "btrfs", "quota", "enable", part)
	run(t, "btrfs", "qgroup", "limit", itoa(bytes), part)
	mount(t, u, "--bind", part, dir)
}

// mount mounts on its last argument, which is the user's then.
func mount(t *testing.T, u harness.User, args ...string) {
	t.Helper()
	run(t, "mount", args...)
	dir := args[len(args)-1]
	t.Cleanup(func() { run(t, "umount", "-l", dir) })
	if err := os.Chown(dir, u.UID, u.GID); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
