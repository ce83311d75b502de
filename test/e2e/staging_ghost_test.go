package e2e_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/annexfs/annexfs/test/harness"
)

// TestStaging_Published holds that a name whose content has been published is not listed, and still found by who copied
// it; that its mode and times can be set; that removing it changes nothing; and that writing to it is a new file.
func TestStaging_Published(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		b := newBed(t, u, harness.Backend{}, tables{"orders": orderTable})
		source, dir := b.source(t, 0, 1000), b.staging("orders")
		path := filepath.Join(dir, "a.parquet")
		b.MustExec("cp", source, path)
		unstaged(t, dir)
		equal(t, "size", stat(t, path).Size(), stat(t, source).Size())
		equal(t, "content", harness.ReadFile(t, path), harness.ReadFile(t, source))

		at := time.Date(2020, 5, 17, 12, 0, 0, 123456000, time.UTC)
		succeeds(t, "setting times", os.Chtimes(path, at, at))
		succeeds(t, "setting the mode", os.Chmod(path, 0o640))
		if u.Root() {
			succeeds(t, "setting the owner", os.Chown(path, 12, 34))
		}
		info := stat(t, path)
		equal(t, "time", info.ModTime().UTC(), at)
		equal(t, "mode", info.Mode(), 0o640)
		if sys, ok := info.Sys().(*syscall.Stat_t); u.Root() && (!ok || sys.Uid != 12 || sys.Gid != 34) {
			t.Errorf("it belongs to %d:%d, want 12:34", sys.Uid, sys.Gid)
		}
		unstaged(t, dir)

		succeeds(t, "removing the name", os.Remove(path))
		missing(t, path)
		b.holds(t, "orders", 1, 1000)
		b.MustExec("cp", b.source(t, 1000, 500), path)
		b.MustExec("cp", b.source(t, 1500, 500), path)
		b.holds(t, "orders", 3, 2000)
	})
}

// TestStaging_RsyncAgain holds that a second run of rsync sends nothing.
func TestStaging_RsyncAgain(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		b := newBed(t, u, harness.Backend{}, tables{"orders": orderTable, "photos": filesTable})
		in := filepath.Dir(b.source(t, 0, 100))
		harness.WriteParquet(t, filepath.Join(in, "b.parquet"), 100, 100)
		for _, flags := range []string{"-a", "-a --inplace"} {
			for _, table := range []string{"orders", "photos"} {
				run := func() string {
					return b.MustExec("sh", "-c", `rsync `+flags+` -i "$1/" "$2/" | grep -v '^\.d' || true`, "sh", in, b.staging(table))
				}
				run()
				if again := run(); again != "" {
					t.Errorf("rsync %s into %s sends again:\n%s", flags, table, again)
				}
			}
		}
		b.holds(t, "orders", 2, 200)
		listed(t, b.table("photos"), "a.parquet", "b.parquet")
	})
}

// TestStaging_Restart holds that what is staged and not published outlives the daemon, and goes on from there.
func TestStaging_Restart(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		b := newBed(t, u, harness.Backend{}, tables{"orders": orderTable})
		dir, batch := b.staging("orders"), b.staging("orders/append/one")
		b.MustExec("mkdir", "-p", batch)
		b.MustExec("cp", b.source(t, 0, 100), batch)
		b.MustExec("cp", b.source(t, 100, 100), filepath.Join(dir, "waiting.tmp"))
		refused(t, b.Exec("cp", b.foreign(t), filepath.Join(dir, "bad.parquet")), 1, "Invalid argument")
		b.Unmount()
		b.Mount = b.MountOn(b.Point)

		staged(t, dir, "append", "bad.parquet", "waiting.tmp")
		report(t, filepath.Join(dir, "bad.parquet"), syscall.EINVAL, "schema")
		staged(t, batch, "a.parquet")
		succeeds(t, "commit", touch(filepath.Join(batch, "_SUCCESS")))
		succeeds(t, "rename", os.Rename(filepath.Join(dir, "waiting.tmp"), filepath.Join(dir, "b.parquet")))
		b.holds(t, "orders", 2, 200)
	})
}

// TestStaging_Memory holds that a large file passes through in flat memory.
func TestStaging_Memory(t *testing.T) {
	const size, most = 512 << 20, 64 << 20
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		b := newBed(t, u, harness.Backend{}, tables{"photos": filesTable})
		b.MustExec("cp", b.source(t, 0, 1000), b.staging("photos/small"))
		before := b.Memory("VmHWM")
		b.MustExec("dd", "if=/dev/zero", "of="+b.staging("photos/large"), "bs=1M", "count="+itoa(size>>20), "status=none")
		equal(t, "size", stat(t, b.table("photos/large")).Size(), size)
		if grown := b.Memory("VmHWM") - before; grown > most {
			t.Errorf("512 MiB through staging make the daemon's memory grow by %d MiB, want at most %d", grown>>20, most>>20)
		}
	})
}
