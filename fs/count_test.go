package fs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/fs"
)

// Counts are the guard against slowness that does not depend on the machine: requests that reach the daemon, and
// queries that reach the database.

func TestCount_StatQueries(t *testing.T) {
	r := newRepo(t)
	file := r.orders(false, "one")[0]
	_, s := r.mount(fs.Options{})
	path := s.Status().Mountpoint + "/acme/sales/@1.0.0/orders/" + file
	stat := func() (queries, requests int64) {
		before := s.Status()
		must[os.FileInfo](t)(os.Lstat(path))
		after := s.Status()
		return after.MetadataQueries - before.MetadataQueries, total(after) - total(before)
	}
	const components = 5
	if queries, _ := stat(); queries > components {
		t.Errorf("a cold stat took %d queries, want at most one for each of %d components", queries, components)
	}
	if queries, requests := stat(); queries != 0 || requests != 0 {
		t.Errorf("a warm stat took %d queries and %d requests, want none", queries, requests)
	}
}

func total(s fs.Status) (n int64) {
	for _, v := range s.Requests {
		n += v
	}
	return n
}

func TestCount_Open(t *testing.T) {
	for _, test := range []struct {
		name string
		o    fs.Options
		want map[string]int64 // of a second open, read and close
	}{
		{"passthrough", fs.Options{}, map[string]int64{"OPEN": 1, "RELEASE": 1}},
		{"daemon", fs.Options{NoPassthrough: true}, map[string]int64{"OPEN": 1, "RELEASE": 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRepo(t)
			file := r.orders(false, "content")[0]
			mnt, s := r.mount(test.o)
			path := mnt + "/acme/sales/@1.0.0/orders/" + file
			must[[]byte](t)(os.ReadFile(path))
			eventually(t, "the first file is released", func() bool { return s.Status().OpenFiles == 0 })
			before := s.Status().Requests
			must[[]byte](t)(os.ReadFile(path))
			eventually(t, "the file is released", func() bool { return s.Status().OpenFiles == 0 })
			for name, n := range s.Status().Requests {
				if got := n - before[name]; got != test.want[name] {
					t.Errorf("%d %s requests, want %d", got, name, test.want[name])
				}
			}
		})
	}
}

// TestCount_List lists 100,000 files: a constant number of queries, no request per file, and none for the entries when
// listed again.
func TestCount_List(t *testing.T) {
	const n = 100_000
	r := newRepo(t)
	files := make([]datastore.NewFile, n)
	for i := range files {
		var sum [32]byte
		copy(sum[:], fmt.Sprint(i))
		files[i] = datastore.NewFile{Name: fmt.Sprintf("%09d-%016x.parquet", i, i), URL: "none", Size: int64(i), SHA256: sum, Footer: make([]byte, 100)}
	}
	r.publish("orders", false, files)
	mnt, s := r.mount(fs.Options{})
	dir := filepath.Join(mnt, "acme/sales/@1.0.0/orders")

	list := func() map[string]int64 {
		before := s.Status()
		out, err := exec.Command("ls", "-l", dir).Output()
		if err != nil {
			t.Fatal(err)
		}
		if lines := countLines(out); lines != n+1 {
			t.Fatalf("ls printed %d lines, want %d", lines, n+1)
		}
		after := s.Status()
		diff := map[string]int64{"queries": after.MetadataQueries - before.MetadataQueries}
		for name, v := range after.Requests {
			diff[name] = v - before.Requests[name]
		}
		return diff
	}
	first, second := list(), list()
	for range 5 { // the machine may have wanted memory back meanwhile: inodes, or pages of the listing
		if second["FORGET"] == 0 && second["READDIRPLUS"] == 0 {
			break
		}
		list()
		second = list()
	}
	if first["queries"] > 8 {
		t.Errorf("listing took %d queries, want no more than for any directory", first["queries"])
	}
	if per := first["LOOKUP"] + first["GETATTR"] + first["GETXATTR"]; per > 20 {
		t.Errorf("listing made %d requests for single files: %v", per, first)
	}
	if second["READDIRPLUS"] != 0 || second["queries"] > 1 {
		t.Errorf("listing again asked the daemon: %v", second)
	}
}

func countLines(b []byte) (n int) {
	for _, c := range b {
		if c == '\n' {
			n++
		}
	}
	return n
}
