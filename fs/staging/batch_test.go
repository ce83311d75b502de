package staging_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/annexfs/annexfs/fs/staging"
)

func (s *site) rename(from, to string) error { return os.Rename(s.path(from), s.path(to)) }

func (s *site) exists(name string) bool {
	_, err := os.Lstat(s.path(name))
	return err == nil
}

func TestBatch_Commit(t *testing.T) {
	s := mount(t)
	s.mustWrite("orders/old.parquet", good)
	s.mkdir("orders/replace/b")
	s.mustWrite("orders/replace/b/1.parquet", parquet("orders", "one"))
	s.mustWrite("orders/replace/b/2.parquet", parquet("orders", "two"))
	s.mustWrite("orders/replace/b/.1.parquet.crc", []byte("crc"))
	s.wantTable(orders, "old.parquet")
	s.mustWrite("orders/replace/b/_SUCCESS", nil)
	s.wantTable(orders, "1.parquet", "2.parquet")
	s.wantStaged("orders/replace/b", ".1.parquet.crc", "_SUCCESS")
	if !s.exists("orders/replace/b/1.parquet") {
		t.Error("a file of the batch cannot be found after its commit")
	}
	s.mustWrite("orders/replace/b/._SUCCESS.crc", []byte("crc"))
	wantErrno(t, "data after the commit", s.write("orders/replace/b/3.parquet", good), syscall.EROFS)
	s.wantReport("orders/replace/b/3.parquet", "committed")
	if err := os.Remove(s.path("orders/replace/b/_SUCCESS")); err != nil {
		t.Fatal(err)
	}
	s.mustWrite("orders/replace/b/3.parquet", parquet("orders", "three"))
	s.mustWrite("orders/replace/b/_SUCCESS", nil)
	s.wantTable(orders, "3.parquet")
}

func TestBatch_Append(t *testing.T) {
	s := mount(t)
	s.mustWrite("images/old", []byte("old"))
	s.mkdir("images/append/b/deep/er")
	s.mustWrite("images/append/b/deep/er/.gitignore", []byte("x"))
	s.mustWrite("images/append/b/deep/_SUCCESS", []byte("data of another"))
	s.mustWrite("images/append/b/.x.txt~", []byte("waits"))
	s.mustWrite("images/append/b/_SUCCESS", nil)
	s.wantTable(images, "deep/_SUCCESS", "deep/er/.gitignore", "old")
	s.wantStaged("images/append/b", ".x.txt~", "_SUCCESS", "deep")
}

func TestBatch_Refusal(t *testing.T) {
	s := mount(t)
	s.mkdir("orders/append/b")
	wantErrno(t, "an empty batch", s.write("orders/append/b/_SUCCESS", nil), syscall.EINVAL)
	s.wantReport("orders/append/b/_SUCCESS", "no data file")
	f := s.open("orders/append/b/1.parquet", create)
	mustWriteTo(t, f, good)
	wantErrno(t, "an open file", s.write("orders/append/b/_SUCCESS", nil), syscall.EBUSY)
	s.wantReport("orders/append/b/_SUCCESS", "1.parquet is still open")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	wantErrno(t, "a bad file", s.write("orders/append/b/2.parquet", []byte("nonsense")), syscall.EINVAL)
	wantErrno(t, "a batch with a bad file", s.write("orders/append/b/_SUCCESS", nil), syscall.EINVAL)
	s.wantTable(orders)
	if err := os.Remove(s.path("orders/append/b/2.parquet")); err != nil {
		t.Fatal(err)
	}
	s.shelf.fail(func(b staging.Batch) error {
		if b.Name == "b" {
			return errBusy
		}
		return nil
	})
	wantErrno(t, "a locked table", s.write("orders/append/b/_SUCCESS", nil), syscall.EBUSY)
	s.shelf.fail(nil)
	s.mustWrite("orders/append/b/_SUCCESS", nil)
	s.wantTable(orders, "1.parquet")
	s.wantStaged("orders/append/b", "2.parquet.error", "_SUCCESS")
}

func TestBatch_Renamed(t *testing.T) {
	s := mount(t)
	s.mkdir("orders/replace/.b")
	s.mustWrite("orders/replace/.b/_SUCCESS", nil)
	s.mustWrite("orders/replace/.b/1.parquet", []byte("not judged yet"))
	wantErrno(t, "a bad batch", s.rename("orders/replace/.b", "orders/replace/b"), syscall.EINVAL)
	if !s.exists("orders/replace/.b/1.parquet") || s.exists("orders/replace/b") {
		t.Error("a refused batch is not under its old name")
	}
	s.mustWrite("orders/replace/.b/1.parquet", good)
	if err := s.rename("orders/replace/.b", "orders/replace/b"); err != nil {
		t.Error(err)
	}
	s.wantTable(orders, "1.parquet")

	s.mkdir("orders/append/c")
	s.mustWrite("orders/append/c/2.parquet", parquet("orders", "2"))
	s.mustWrite("orders/append/c/.done", nil)
	if err := s.rename("orders/append/c/.done", "orders/append/c/_SUCCESS"); err != nil {
		t.Error(err)
	}
	s.wantTable(orders, "1.parquet", "2.parquet")
}

// TestBatch_DataBecomesSuccess has the file that commits be data until then.
func TestBatch_DataBecomesSuccess(t *testing.T) {
	s := mount(t)
	s.mkdir("images/append/b")
	s.mustWrite("images/append/b/done", []byte("x"))
	wantErrno(t, "an empty batch", s.rename("images/append/b/done", "images/append/b/_SUCCESS"), syscall.EINVAL)
	s.wantStaged("images/append/b", "_SUCCESS.error", "done")
	s.mustWrite("images/append/b/a", []byte("a"))
	if err := s.rename("images/append/b/done", "images/append/b/_SUCCESS"); err != nil {
		t.Error(err)
	}
	s.wantTable(images, "a")
	s.wantStaged("images/append/b", "_SUCCESS")
}

// TestBatch_Spark does what Hadoop's committer does, twice into one directory.
func TestBatch_Spark(t *testing.T) {
	s := mount(t)
	for _, run := range []string{"first", "second"} {
		task := "orders/append/job/_temporary/0/task/k=" + run
		s.mkdir(task)
		s.mustWrite(task+"/part.parquet", parquet("orders", run))
		if err := s.rename(task, "orders/append/job/k="+run); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(s.path("orders/append/job/_temporary")); err != nil {
			t.Fatal(err)
		}
		s.mustWrite("orders/append/job/_SUCCESS", nil)
		s.mustWrite("orders/append/job/._SUCCESS.crc", []byte("crc"))
	}
	s.wantTable(orders, "k=first/part.parquet", "k=second/part.parquet")
	if err := os.RemoveAll(s.path("orders/append/job")); err != nil {
		t.Errorf("removing a batch after its commit: %v", err)
	}
}

func TestBatch_Misplaced(t *testing.T) {
	s := mount(t)
	s.mkdir("orders/replace")
	wantErrno(t, "a file beside the batches", s.write("orders/replace/1.parquet", good), syscall.EINVAL)
	s.wantReport("orders/replace/1.parquet", "a batch is a directory")
}

func TestRecover(t *testing.T) {
	s := mount(t)
	s.mkdir("orders/append/undone")
	s.mustWrite("orders/append/undone/1.parquet", good)
	s.mkdir("orders/append/done")
	s.mustWrite("orders/append/done/2.parquet", parquet("orders", "2"))
	s.mustWrite("orders/append/done/_SUCCESS", nil)
	s.mustWrite("images/waits~", []byte("x"))
	// The commit was undone after a crash.
	if err := os.WriteFile(filepath.Join(s.dir, "tree/acme/sales/orders/append/undone/_SUCCESS"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s.restart()
	s.wantStaged("orders/append/undone", "1.parquet")
	s.wantStaged("orders/append/done", "_SUCCESS")
	s.wantStaged("images", "waits~")
	s.mustWrite("orders/append/undone/_SUCCESS", nil)
	s.wantTable(orders, "1.parquet", "2.parquet")
}

func TestRename_Publish(t *testing.T) {
	s := mount(t)
	s.mustWrite("orders/.a.parquet.AbC123", good)
	s.wantTable(orders)
	if err := s.rename("orders/.a.parquet.AbC123", "orders/a.parquet"); err != nil {
		t.Fatal(err)
	}
	s.wantTable(orders, "a.parquet")
	s.wantStaged("orders")
	if !s.exists("orders/a.parquet") || s.exists("orders/.a.parquet.AbC123") {
		t.Error("the ghost does not have the new name")
	}
	s.mustWrite("orders/x.partial", []byte("nonsense"))
	wantErrno(t, "not parquet", s.rename("orders/x.partial", "orders/x.parquet"), syscall.EINVAL)
	s.wantReport("orders/x.parquet", "not a parquet file")
	s.wantStaged("orders", "x.parquet.error", "x.partial")
	s.mustWrite("orders/empty", nil)
	wantErrno(t, "empty", s.rename("orders/empty", "orders/e.parquet"), syscall.EINVAL)
}

func TestRename_Ghost(t *testing.T) {
	s := mount(t)
	s.mustWrite("images/unknown-temporary", []byte("x"))
	if err := s.rename("images/unknown-temporary", "images/final"); err != nil {
		t.Fatal(err)
	}
	s.wantTable(images, "final")
	wantErrno(t, "to another table", s.rename("images/final", "orders/final"), syscall.EXDEV)
	s.mkdir("images/tmp")
	s.mustWrite("images/tmp/a", []byte("a"))
	s.mustWrite("images/tmp/b", []byte("b"))
	if err := s.rename("images/tmp", "images/dir"); err != nil {
		t.Fatal(err)
	}
	s.wantTable(images, "dir/a", "dir/b", "final")
}

func TestRename_Directory(t *testing.T) {
	s := mount(t)
	s.mkdir("images/.~tmp~/d")
	s.mustWrite("images/.~tmp~/d/a", []byte("a"))
	s.wantTable(images)
	s.shelf.fail(func(staging.Batch) error { return errors.New("no") })
	wantErrno(t, "a refusal", s.rename("images/.~tmp~/d", "images/d"), syscall.EIO)
	s.shelf.fail(nil)
	s.wantStaged("images/.~tmp~/d", "a")
	if err := s.rename("images/.~tmp~/d", "images/d"); err != nil {
		t.Fatal(err)
	}
	s.wantTable(images, "d/a")
	wantErrno(t, "a table", s.rename("images", "pictures"), syscall.EPERM)
}

func TestUnlink_Ghost(t *testing.T) {
	s := mount(t)
	s.mustWrite("images/a", []byte("x"))
	if err := os.Remove(s.path("images/a")); err != nil {
		t.Fatal(err)
	}
	if s.exists("images/a") {
		t.Error("an unlinked ghost is still found")
	}
	s.wantTable(images, "a")
	f := s.open("images/a", create)
	mustWriteTo(t, f, []byte("x"))
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestAria2(t *testing.T) {
	s := mount(t)
	s.mustWrite("images/a.iso.aria2", []byte("control"))
	s.mustWrite("images/a.iso", []byte("half"))
	s.wantTable(images)
	if err := os.Remove(s.path("images/a.iso.aria2")); err != nil {
		t.Fatal(err)
	}
	s.wantTable(images, "a.iso")
}

func TestTree_Names(t *testing.T) {
	s := mount(t)
	wantErrno(t, "a bad namespace", os.Mkdir(filepath.Join(s.mnt, "Bad Name"), 0o755), syscall.EINVAL)
	wantErrno(t, "a bad table", os.Mkdir(s.path("9table"), 0o755), syscall.EINVAL)
	wantErrno(t, "a bad version", os.Mkdir(filepath.Join(s.mnt, "acme/sales@v1"), 0o755), syscall.EINVAL)
	wantErrno(t, "a file above the datasets", os.WriteFile(filepath.Join(s.mnt, "acme/x"), nil, 0o644), syscall.EPERM)
	wantErrno(t, "removing a table", os.Remove(s.path("orders")), syscall.EBUSY)
	if err := os.MkdirAll(filepath.Join(s.mnt, "new/set/facts"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.mnt, "new/set/facts/a.parquet"), good, 0o644); err != nil {
		t.Error(err)
	}
	s.wantTable("new/set@latest/facts", "a.parquet")
	err := os.WriteFile(filepath.Join(s.mnt, "new/set/facts/photo.jpg"), []byte("x"), 0o644)
	wantErrno(t, "a file of a table that is not declared", err, syscall.EINVAL)
	versioned := filepath.Join(s.mnt, "acme/sales@1.2.0/orders/a.parquet")
	if err := os.WriteFile(versioned, good, 0o644); err != nil {
		t.Error(err)
	}
	s.wantTable("acme/sales@1.2.0/orders", "a.parquet")
	entries, err := os.ReadDir(s.mnt)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"acme", "new"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("the root lists %q, %v, want %q", names, err, want)
	}
}
