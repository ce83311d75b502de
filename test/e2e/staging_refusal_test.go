package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/ingest"
	"github.com/annexfs/annexfs/internal/repo"
	"github.com/annexfs/annexfs/test/harness"
)

// TestStaging_RefusedContent holds that what is no file of the table is refused by close with EINVAL, that a report
// beside it says why, that its bytes stay, and that a good file under its name makes all of that go away.
func TestStaging_RefusedContent(t *testing.T) {
	cases := []struct {
		name string
		make func(good string) string
		says string
	}{
		{"text", func(string) string { return strings.Repeat("id,name,amount\n", 100) }, "not a usable parquet file"},
		{"short", func(string) string { return "PAR1" }, "not a usable parquet file"},
		{"truncated", func(good string) string { return good[:len(good)/2] }, "truncated"},
		{"beginning missing", func(good string) string { return good[len(good)/2:] }, "not a usable parquet file"},
		{"footer damaged", func(good string) string {
			return good[:len(good)-200] + strings.Repeat("x", 192) + good[len(good)-8:]
		}, "not a usable parquet file"},
	}
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		b := newBed(t, u, harness.Backend{}, tables{"orders": orderTable})
		dir, first := b.staging("orders"), 0
		for _, c := range cases {
			good := b.source(t, first, 100)
			bad := filepath.Join(b.newDir(t), "bad")
			content := c.make(harness.ReadFile(t, good))
			if err := os.WriteFile(bad, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
			name := strings.ReplaceAll(c.name, " ", "-") + ".parquet"
			path := filepath.Join(dir, name)
			for range 2 { // refused again, however often
				refused(t, b.Exec("cp", bad, path), 1, "Invalid argument")
			}
			report(t, path, syscall.EINVAL, c.says)
			staged(t, dir, name)
			equal(t, "what is left of "+name, harness.ReadFile(t, path), content)
			b.MustExec("cp", good, path)
			unstaged(t, dir)
			first += 100
			b.holds(t, "orders", first/100, first)
		}
		path := filepath.Join(dir, "removed.parquet")
		refused(t, b.Exec("cp", b.foreign(t), path), 1, "Invalid argument")
		report(t, path, syscall.EINVAL, "schema", "column color (utf8) is not in the table", "column name (utf8) is missing")
		b.MustExec("rm", path, path+".error")
		unstaged(t, dir)
	})
}

// TestStaging_RefusedEmpty holds that an empty file is told of when it is closed, and refused wherever that can be said.
func TestStaging_RefusedEmpty(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		b := newBed(t, u, harness.Backend{}, tables{"orders": orderTable, "photos": filesTable})
		empty := filepath.Join(b.newDir(t), "empty.parquet")
		succeeds(t, "making an empty file", touch(empty))
		dir := b.staging("orders")
		path := filepath.Join(dir, "empty.parquet")

		b.MustExec("cp", empty, path) // close looks the same as the first one of dd and of polars
		harness.Eventually(t, 5*time.Second, func() string { return exists(path+".error", true) })
		report(t, path, syscall.EINVAL, "empty")
		staged(t, dir, "empty.parquet")
		b.MustExec("rm", path, path+".error")

		b.MustExec("cp", empty, filepath.Join(dir, "empty.new"))
		fails(t, "renaming an empty file", os.Rename(filepath.Join(dir, "empty.new"), path), syscall.EINVAL)
		report(t, path, syscall.EINVAL, "empty")
		staged(t, dir, "empty.new")
		b.MustExec("rm", filepath.Join(dir, "empty.new"))

		batch := filepath.Join(dir, "append/one")
		b.MustExec("mkdir", "-p", batch)
		b.MustExec("cp", b.source(t, 0, 10), empty, batch)
		fails(t, "committing an empty file", touch(filepath.Join(batch, "_SUCCESS")), syscall.EINVAL)
		report(t, filepath.Join(batch, "_SUCCESS"), syscall.EINVAL, "empty.parquet", "empty")
		missing(t, filepath.Join(batch, "_SUCCESS"))

		refused(t, b.Run("add", "shop/sales/orders", empty), 1, "empty.parquet", "empty")
		b.holds(t, "orders", 0, 0)

		b.MustExec("rm", filepath.Join(batch, "empty.parquet"))
		succeeds(t, "committing what is left", touch(filepath.Join(batch, "_SUCCESS")))
		b.holds(t, "orders", 1, 10)

		b.MustExec("cp", empty, b.staging("photos/empty")) // a file like any other there
		harness.Eventually(t, 5*time.Second, func() string { return exists(b.table("photos/empty"), true) })
		equal(t, "size of an empty photo", stat(t, b.table("photos/empty")).Size(), 0)
	})
}

// TestStaging_RefusedNames holds that names which no dataset, table or file can have are refused.
func TestStaging_RefusedNames(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		b := newBed(t, u, harness.Backend{}, tables{"orders": orderTable, "photos": filesTable})
		root := b.Path(".annexfs/staging")
		for _, name := range []string{"Shop", "shop/Sales", "shop/sales@1.0", "shop/sales/1x", "shop/sales/a.b", ".hidden"} {
			fails(t, "mkdir "+name, os.Mkdir(filepath.Join(root, name), 0o755), syscall.EINVAL)
		}
		b.MustExec("mkdir", "-p", b.staging("photos/2026"))
		for _, name := range []string{"not\xffUTF-8.jpg", "2026/\xfe"} {
			path := b.staging("photos", name)
			fails(t, "copying to a name that is no text", put(b.source(t, 0, 10), path), syscall.EINVAL)
			missing(t, b.table("photos", name))
		}
		for _, name := range []string{"shop/a.parquet", "a.parquet"} {
			if err := put(b.source(t, 0, 10), filepath.Join(root, name)); err == nil {
				t.Errorf("a file beside the datasets, %s, is taken", name)
			}
		}
		fails(t, "a link", os.Link(b.source(t, 0, 1), b.staging("orders/link")), syscall.EXDEV)
		fails(t, "a symlink", os.Symlink("a", b.staging("orders/symlink")), syscall.EPERM)
		fails(t, "a pipe", syscall.Mkfifo(b.staging("orders/pipe"), 0o644), syscall.EPERM)
	})
}

// TestStaging_RefusedOther holds that what a path holds does not change, and that the report tells the ways on.
func TestStaging_RefusedOther(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		b := newBed(t, u, harness.Backend{}, tables{"orders": orderTable, "photos": filesTable})
		one, other := b.source(t, 0, 100), b.source(t, 100, 100)
		for _, c := range []struct{ table, name string }{{"photos", "a.jpg"}, {"orders", "000000007-00000000000000ab.parquet"}} {
			path := b.staging(c.table, c.name)
			b.MustExec("cp", one, path)
			b.MustExec("cp", one, path) // the same again is success
			refused(t, b.Exec("cp", other, path), 1, "File exists")
			report(t, path, syscall.EEXIST, c.name, "replace/")
			staged(t, b.staging(c.table), c.name)
			equal(t, "what the path holds", harness.ReadFile(t, b.table(c.table, c.name)), harness.ReadFile(t, one))
			b.MustExec("cp", one, path)
			unstaged(t, b.staging(c.table))
		}
		b.holds(t, "orders", 1, 100)
		b.MustExec("cp", other, b.staging("photos/b.jpg"))
		b.MustExec("cp", other, b.staging("orders/000000008-00000000000000ab.parquet"))
		b.holds(t, "orders", 2, 200)

		// Under a name that says nothing, the same content again is no second row, whatever the name.
		b.MustExec("cp", other, b.staging("orders/again.parquet"))
		b.holds(t, "orders", 2, 200)
	})
}

// TestStaging_RefusedLocked holds that a table which a living job of another process has locked says EBUSY, and takes
// the file once the lock is gone.
func TestStaging_RefusedLocked(t *testing.T) {
	u := harness.Users(t)[0]
	run := func(t *testing.T, backend harness.Backend) {
		b := newBed(t, u, backend, tables{"orders": orderTable})
		path, batch := b.staging("orders/a.parquet"), b.staging("orders/replace/one")
		b.MustExec("cp", b.source(t, 0, 100), path)
		b.MustExec("mkdir", "-p", batch)
		b.MustExec("cp", b.source(t, 0, 300), batch)
		source := b.source(t, 100, 100)

		unlock := lock(t, b, "shop/sales/orders")
		refused(t, b.Exec("cp", source, path), 1, "Device or resource busy")
		report(t, path, syscall.EBUSY, "Try again", "1m0s of silence")
		staged(t, b.staging("orders"), "a.parquet", "replace")
		fails(t, "committing while the table is locked", touch(filepath.Join(batch, "_SUCCESS")), syscall.EBUSY)
		report(t, filepath.Join(batch, "_SUCCESS"), syscall.EBUSY, "Try again")
		staged(t, batch, "a.parquet")
		refused(t, b.Run("add", "shop/sales/orders", source), 4, "lock")
		b.holds(t, "orders", 1, 100)
		unlock()

		b.MustExec("cp", source, path)
		b.holds(t, "orders", 2, 200)
		missing(t, path+".error")
		b.MustExec("sh", "-c", `rm -f "$1/_SUCCESS" && touch "$1/_SUCCESS"`, "sh", batch)
		b.holds(t, "orders", 1, 300)
		missing(t, filepath.Join(batch, "_SUCCESS.error"))
	}
	t.Run("embedded", func(t *testing.T) { run(t, harness.Backend{}) })
	t.Run("server", func(t *testing.T) { run(t, harness.Servers(t)) })
}

// lock locks the active revision of a table for a job of this process, which lives until unlock.
func lock(t *testing.T, b *bed, table string) (unlock func()) {
	t.Helper()
	ctx := t.Context()
	opened, err := repo.Open(ctx, b.Dir, repo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := dataset.ParseTableRef(table)
	if err != nil {
		t.Fatal(err)
	}
	target, err := ingest.New(ingest.Options{Registry: opened.Registry, Data: opened.Data}).Target(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	revision, err := opened.Data.Active(ctx, target.Table)
	if err != nil {
		t.Fatal(err)
	}
	job, err := opened.Data.StartJob(ctx, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := opened.Data.Lock(ctx, revision.ID, job); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := closeAll(job.End(context.WithoutCancel(ctx), nil), opened); err != nil {
			t.Errorf("unlocking: %v", err)
		}
	}
}
