package e2e_test

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/annexfs/annexfs/test/harness"
)

// batch makes the directory of a batch with files of 100 rows each, from first on.
func (b *bed) batch(t *testing.T, path string, first, files int) string {
	t.Helper()
	dir := b.staging("orders", path)
	b.MustExec("mkdir", "-p", dir)
	for i := range files {
		from := first + 100*i
		b.MustExec("cp", b.source(t, from, 100), filepath.Join(dir, "part-"+itoa(from)+".parquet"))
	}
	return dir
}

// commit creates _SUCCESS in a batch.
func commit(dir string) error { return touch(filepath.Join(dir, "_SUCCESS")) }

// TestStaging_Replace holds that a batch is published as a whole, when its _SUCCESS is created, in place of what was
// there; that its directory stays and takes no more data; and that removing _SUCCESS begins the next one.
func TestStaging_Replace(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, backend harness.Backend) {
		b := newBed(t, u, backend, tables{"orders": orderTable})
		b.MustExec("cp", b.source(t, 900, 50), b.staging("orders"))
		dir := b.batch(t, "replace/one", 0, 3)
		staged(t, dir, "part-0.parquet", "part-100.parquet", "part-200.parquet")
		b.span(t, b.table("orders"), 1, 900, 50)
		succeeds(t, "commit", commit(dir))
		b.holds(t, "orders", 3, 300)
		equal(t, "revisions and `active`", len(harness.Names(t, b.table("orders/.revisions"))), 3)

		staged(t, dir, "_SUCCESS")
		equal(t, "size of what was published", stat(t, filepath.Join(dir, "part-0.parquet")).Size() > 0, true)
		succeeds(t, "Spark's checksum after the commit", touch(filepath.Join(dir, "._SUCCESS.crc")))
		late := b.Exec("cp", b.source(t, 300, 100), filepath.Join(dir, "late.parquet"))
		refused(t, late, 1, "late.parquet")
		report(t, filepath.Join(dir, "late.parquet"), syscall.EROFS, "committed", "_SUCCESS")
		b.holds(t, "orders", 3, 300)

		succeeds(t, "removing _SUCCESS", os.Remove(filepath.Join(dir, "_SUCCESS")))
		b.batch(t, "replace/one", 0, 1)
		succeeds(t, "the next commit", commit(dir))
		b.holds(t, "orders", 1, 100)
	})
}

// TestStaging_Append holds that a batch below append/ adds its files, all at once, and no content twice.
func TestStaging_Append(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, backend harness.Backend) {
		b := newBed(t, u, backend, tables{"orders": orderTable})
		dir := b.batch(t, "append/one", 0, 2)
		b.holds(t, "orders", 0, 0)
		succeeds(t, "commit", commit(dir))
		b.holds(t, "orders", 2, 200)
		succeeds(t, "commit of a batch that repeats one file and adds one", commit(b.batch(t, "append/two", 100, 2)))
		b.holds(t, "orders", 3, 300)
		equal(t, "revisions and `active`", len(harness.Names(t, b.table("orders/.revisions"))), 2)
	})
}

// TestStaging_SuccessForms holds that a batch is committed in whatever way its _SUCCESS is made.
func TestStaging_SuccessForms(t *testing.T) {
	forms := map[string]string{
		"touch":       `touch "$1/_SUCCESS"`,
		"redirection": `: > "$1/_SUCCESS"`,
		"cp":          `cp /dev/null "$1/_SUCCESS"`,
		"with text":   `echo done > "$1/_SUCCESS"`,
		"rename":      `touch "$1/_SUCCESS.tmp" && mv "$1/_SUCCESS.tmp" "$1/_SUCCESS"`,
		"twice":       `touch "$1/_SUCCESS" && touch "$1/_SUCCESS" && : > "$1/_SUCCESS"`,
	}
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		b := newBed(t, u, harness.Backend{}, tables{"orders": orderTable})
		first := 0
		for name, script := range forms {
			dir := b.batch(t, "append/"+itoa(first), first, 1)
			if result := b.Exec("sh", "-c", script, "sh", dir); result.Code != 0 {
				t.Errorf("%s: exit status %d: %s", name, result.Code, result.Stderr)
			}
			first += 100
			b.holds(t, "orders", first/100, first)
		}
		unfinished := b.batch(t, "append/unfinished", first, 1)
		b.MustExec("sh", "-c", `echo >> "$1/_NOT_SUCCESS"; mkdir "$1/x"; touch "$1/x/_SUCCESS"`, "sh", unfinished)
		b.holds(t, "orders", first/100, first)
	})
}

// TestStaging_BatchRefused holds that a batch is refused as a whole, with the file that is to blame, and taken once
// that is mended.
func TestStaging_BatchRefused(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		b := newBed(t, u, harness.Backend{}, tables{"orders": orderTable})
		empty := b.batch(t, "replace/empty", 0, 0)
		for _, form := range []string{"touch", "sh"} {
			args := map[string][]string{"touch": {empty + "/_SUCCESS"}, "sh": {"-c", `: > "$1/_SUCCESS"`, "sh", empty}}[form]
			if result := b.Exec(form, args...); result.Code == 0 {
				t.Errorf("%s of an empty batch's _SUCCESS ends with exit status 0", form)
			}
		}
		fails(t, "commit of an empty batch", commit(empty), syscall.EINVAL)
		report(t, filepath.Join(empty, "_SUCCESS"), syscall.EINVAL, "no data file")
		missing(t, filepath.Join(empty, "_SUCCESS"))
		b.batch(t, "replace/empty", 0, 1)
		succeeds(t, "commit once there is a file", commit(empty))
		b.holds(t, "orders", 1, 100)
		missing(t, filepath.Join(empty, "_SUCCESS.error"))

		dir := b.batch(t, "append/one", 100, 2)
		path := filepath.Join(dir, "part-x.parquet")
		refused(t, b.Exec("cp", b.foreign(t), path), 1, "Invalid argument") // at once, since Hadoop copies around a rename
		report(t, path, syscall.EINVAL, "schema")
		fails(t, "commit with a bad file", commit(dir), syscall.EINVAL)
		report(t, filepath.Join(dir, "_SUCCESS"), syscall.EINVAL, "part-x.parquet", "schema")
		b.holds(t, "orders", 1, 100)

		b.MustExec("rm", path)
		w := create(t, path)
		w.add(harness.ReadFile(t, b.source(t, 300, 100)))
		fails(t, "commit while a file is open for writing", commit(dir), syscall.EBUSY)
		report(t, filepath.Join(dir, "_SUCCESS"), syscall.EBUSY, "part-x.parquet", "open")
		succeeds(t, "close", w.Close())
		succeeds(t, "commit", commit(dir))
		b.holds(t, "orders", 4, 400)
		fails(t, "a file beside the batches", put(b.source(t, 0, 10), b.staging("orders/append/x.parquet")), syscall.EINVAL)
	})
}

// TestStaging_Finished holds that a finished directory, which holds _SUCCESS already, is committed by a rename from a
// hidden name, and that copying it to its final name is refused where _SUCCESS comes first.
func TestStaging_Finished(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		b := newBed(t, u, harness.Backend{}, tables{"orders": orderTable})
		finished := filepath.Dir(b.source(t, 0, 100))
		succeeds(t, "_SUCCESS", touch(filepath.Join(finished, "_SUCCESS")))
		batches := b.staging("orders/append")
		b.MustExec("mkdir", "-p", batches)
		refused(t, b.Exec("rsync", "-r", finished+"/", batches+"/direct/"), 23, "Invalid argument")
		b.holds(t, "orders", 0, 0)
		for i, script := range []string{
			`cp -r "$1" "$2/.x" && mv "$2/.x" "$2/cp"`,
			`rsync -a "$1/" "$2/_x/" && mv "$2/_x" "$2/rsync"`,
			`tar -C "$1" -cf "$1.tar" . && mkdir "$2/.y" && tar -C "$2/.y" -xf "$1.tar" && mv "$2/.y" "$2/tar"`,
		} {
			harness.WriteParquet(t, filepath.Join(finished, "a.parquet"), 100*i, 100)
			b.MustExec("sh", "-c", script, "sh", finished, batches)
			b.holds(t, "orders", i+1, 100*(i+1))
		}
		harness.WriteParquet(t, filepath.Join(finished, "a.parquet"), 300, 100)
		succeeds(t, "_SUCCESS", os.Remove(filepath.Join(finished, "_SUCCESS")))
		b.MustExec("sh", "-c", `cp -r "$1" "$2/.x" && mv "$2/.x" "$2/later"`, "sh", finished, batches)
		b.holds(t, "orders", 3, 300)
		succeeds(t, "commit", commit(filepath.Join(batches, "later")))
		b.holds(t, "orders", 4, 400)
	})
}

// TestStaging_Race holds that batches which are committed at once get one order: each is whole in a revision of its
// own, and the last one is the table. Who is told EBUSY tries again by removing and creating _SUCCESS.
func TestStaging_Race(t *testing.T) {
	const racers = 4
	u := harness.Users(t)[0]
	run := func(t *testing.T, backend harness.Backend) {
		b := newBed(t, u, backend, tables{"orders": orderTable})
		for _, mode := range []string{"replace", "append"} {
			var dirs []string
			for i := range racers {
				dirs = append(dirs, b.batch(t, mode+"/"+itoa(i), 1000*i, 3))
			}
			busy := b.commitAtOnce(t, dirs)
			t.Logf("%s: %d of %d commits were told EBUSY and tried again", mode, busy, racers)
			if mode == "append" {
				continue
			}
			revisions := harness.Names(t, b.table("orders/.revisions"))
			equal(t, "revisions and `active`", len(revisions), racers+1)
			var firsts []int
			for _, name := range revisions {
				var min [][]int
				dir := b.table("orders/.revisions", name)
				b.sql(t, &min, `SELECT min(id) FROM '`+dir+`/*.parquet'`)
				b.span(t, dir, 3, min[0][0], 300)
				if name != "active" {
					firsts = append(firsts, min[0][0])
				}
			}
			slices.Sort(firsts)
			equal(t, "batches in revisions", slices.Equal(firsts, []int{0, 1000, 2000, 3000}), true)
		}
		equal(t, "files after both", len(harness.Names(t, b.table("orders"))), racers*3)
	}
	t.Run("embedded", func(t *testing.T) { run(t, harness.Backend{}) })
	t.Run("server", func(t *testing.T) { run(t, harness.Servers(t)) })
}

// commitAtOnce commits batches at once, each until it succeeds, and counts how often that was told EBUSY.
func (b *bed) commitAtOnce(t *testing.T, dirs []string) (busy int) {
	t.Helper()
	var group sync.WaitGroup
	var mu sync.Mutex
	deadline := time.Now().Add(time.Minute)
	for _, dir := range dirs {
		group.Go(func() {
			for {
				result := b.Exec("sh", "-c", `rm -f "$1/_SUCCESS" && touch "$1/_SUCCESS"`, "sh", dir)
				if result.Code == 0 {
					return
				}
				mu.Lock()
				busy++
				mu.Unlock()
				if refused(t, result, 1, "Device or resource busy"); t.Failed() || time.Now().After(deadline) {
					return
				}
			}
		})
	}
	group.Wait()
	return busy
}
