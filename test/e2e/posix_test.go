package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/annexfs/annexfs/test/harness"
)

// Environment variables that set how long the suites run.
const (
	fsxOperations = "ANNEXFS_FSX_OPERATIONS"
	stressSeconds = "ANNEXFS_STRESS_SECONDS"
)

// fsxConfig has every operation that staging promises: of the others, punching holes may say ENOTSUP.
const fsxConfig = `
[opsize]
min = 1
max = 16384

[weights]
close_open = 2
invalidate = 1
mapread = 10
mapwrite = 10
read = 10
write = 10
truncate = 10
fsync = 0.1
fdatasync = 0.1
posix_fallocate = 1
sendfile = 5
posix_fadvise = 1
copy_file_range = 5
`

// stressors are stress-ng's for file systems, but those that ask for what staging refuses (links, devices, attributes,
// holes), that go elsewhere (bind-mount, binderfs, eventfd, fanotify, procfs), or that need a block device's
// ioctls (fiemap, file-ioctl, inode-flags, verity, chattr).
var stressors = []string{
	"chdir", "chmod", "chown", "copy-file", "dentry", "dir", "dirdeep", "dirmany", "dup", "fcntl", "filename",
	"flock", "fsize", "fstat", "getdent", "hdd", "inotify", "io", "iomix", "lease", "locka", "lockf", "lockofd", "open",
	"rename", "seek", "sync-file", "touch", "utime",
}

// TestPOSIX_FSX has fsx do random operations on a staged file, and compare what it reads with what it wrote.
func TestPOSIX_FSX(t *testing.T) {
	operations := setting(t, fsxOperations, 100_000)
	tools := copyTools(t, "fsx")
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		t.Parallel() // each waits for its daemon half of the time
		b := newBed(t, u, harness.Backend{}, tables{"orders": orderTable})
		config := filepath.Join(b.newDir(t), "fsx.toml")
		if err := os.WriteFile(config, []byte(fsxConfig), 0o644); err != nil {
			t.Fatal(err)
		}
		seed := strconv.FormatInt(time.Now().UnixNano()&0xffffffff, 10)
		begin := time.Now()
		result := b.Exec(filepath.Join(tools, "fsx"), "-f", config, "-N", itoa(operations), "-S", seed, "-P", b.newDir(t), b.staging("orders/fsx.bin"))
		if result.Code != 0 || !strings.Contains(result.Stdout+result.Stderr, "A-OK") {
			t.Errorf("fsx -S %s: exit status %d\n%s", seed, result.Code, last(result.Stdout+result.Stderr, 4000))
		}
		t.Logf("counted: fsx did %d operations as %s in %v, seed %s", operations, u.Name, time.Since(begin).Round(time.Second), seed)
		b.holds(t, "orders", 0, 0)
	})
}

// TestPOSIX_Stress has stress-ng's file-system stressors run on staging: all at once, and access by itself, which compares
// what a file's mode allows with what happens.
func TestPOSIX_Stress(t *testing.T) {
	needs(t, "stress-ng")
	seconds := setting(t, stressSeconds, 60)
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		b := newBed(t, u, harness.Backend{}, tables{"orders": orderTable, "photos": filesTable})
		dir := b.staging("orders/stress")
		b.MustExec("mkdir", dir)
		args := []string{"--temp-path", dir, "--verify", "--no-rand-seed", "--hdd-bytes", "64M", "--iomix-bytes", "64M", "--copy-file-bytes", "128M"}
		alone := append(slices.Clone(args), "--timeout", itoa(max(1, seconds/12)), "--access", "2")
		args = append(args, "--timeout", itoa(seconds))
		for _, name := range stressors {
			args = append(args, "--"+name, "1")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(seconds+120)*time.Second)
		defer cancel()
		b.stress(ctx, t, args)
		b.stress(ctx, t, alone)
		t.Logf("counted: stress-ng ran %d stressors for %d s as %s", len(stressors), seconds, u.Name)
		b.MustExec("rm", "-rf", dir)
		b.MustExec("cp", b.source(t, 0, 10), b.staging("orders")) // it is as good as before
		b.holds(t, "orders", 1, 10)
	})
}

// stress runs stress-ng, which must succeed within ctx.
func (b *bed) stress(ctx context.Context, t *testing.T, args []string) {
	t.Helper()
	cmd := b.Command("stress-ng", args...)
	cmd.Dir = b.newDir(t)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() }) // it is waited for all the same
	defer stop()
	if err := cmd.Wait(); err != nil {
		t.Errorf("stress-ng: %v\n%s", err, last(out.String(), 8000))
	}
}

// setting is a number from the environment, or what it is without.
func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text, ok := os.LookupEnv(name)
	if !ok {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// last is the end of a text.
func last(text string, most int) string {
	return text[max(0, len(text)-most):]
}
