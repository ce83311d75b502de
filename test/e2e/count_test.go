package e2e_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/annexfs/annexfs/test/harness"
)

// queries counts the metadata queries that the daemon makes for do.
func queries(t *testing.T, m *harness.Mount, do func()) int64 {
	t.Helper()
	before := m.Status().MetadataQueries
	do()
	return m.Status().MetadataQueries - before
}

// requests counts the requests that reach the daemon for do, but for those that counting makes. A RELEASE is not counted:
// nobody waits for it, so that it may come within any count, and it follows an OPEN that is counted.
func requests(t *testing.T, m *harness.Mount, do func()) map[string]int64 {
	t.Helper()
	m.Status() // the first one looks its name up
	idle := difference(m.Status().Requests, m.Status().Requests)
	before := m.Status().Requests
	do()
	sent := difference(idle, difference(before, m.Status().Requests))
	delete(sent, "RELEASE")
	if strings.Contains(os.Getenv(harness.MountEnv), "symlink_cache=false") {
		delete(sent, "READLINK")
	}
	return sent
}

// difference is after - before, without what did not change.
func difference(before, after map[string]int64) map[string]int64 {
	d := map[string]int64{}
	for name, n := range after {
		if n != before[name] {
			d[name] = n - before[name]
		}
	}
	return d
}

// TestCount_Stat holds that a stat on a cold mount costs at most one metadata query per component of the path, that a
// warm one costs none and does not reach the daemon, and that names which cannot be cost none either.
func TestCount_Stat(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, b harness.Backend) {
		s := harness.NewSample(t, u, b)
		point := s.NewPoint()
		m := s.MountOn(point)
		order := harness.Names(t, m.Path("shop/sales/@1.0.0/orders"))[0]
		m.Unmount()
		for path, components := range map[string]int64{
			"shop/sales/@1.0.0/orders/" + order:           5,
			"shop/sales/@latest/orders":                   5, // @latest and what it points to
			"shop/sales/@1.0.0/manifest.json":             4,
			"shop/sales/@1.0.0/photos/2026/05/c.jpg":      7,
			"shop/sales/@" + s.First + "/orders/" + order: 5,
		} {
			m = s.MountOn(point)
			look := func() { follow(t, m.Path(path)) }
			equal(t, "metadata queries of an idle mount", queries(t, m, func() {}), 0)
			if cold := queries(t, m, look); cold > components {
				t.Errorf("a cold stat of %s costs %d metadata queries, want at most %d", path, cold, components)
			}
			equal(t, "metadata queries of a warm stat of "+path, queries(t, m, look), 0)
			if warm := requests(t, m, look); len(warm) > 0 {
				t.Errorf("a warm stat of %s sends the daemon %v", path, warm)
			}
			m.Unmount()
		}
	})
}

// TestCount_Impossible holds that names which do not parse are ENOENT without a query.
func TestCount_Impossible(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		s := harness.NewSample(t, u, harness.Backend{})
		m := s.Mount()
		for _, dir := range []string{"", "shop", "shop/sales", "shop/sales/@1.0.0", "shop/sales/@1.0.0/orders", "shop/sales/@1.1.0/orders"} {
			follow(t, m.Path(dir))
		}
		impossible := []string{
			".git", ".hidden", ".Trash", ".Trash-1000", "autorun.inf", "UPPER", "shop/.git", "shop/-x", "shop/a.b",
			"shop/sales/@v1.0.0", "shop/sales/@1.0", "shop/sales/@01.0.0", "shop/sales/@", "shop/sales/@abc", "shop/sales/1.0.0",
			"shop/sales/@" + s.First[:63], "shop/sales/@" + s.First + "0", "shop/sales/@1.0.0/1x", "shop/sales/@1.0.0/.DS_Store",
			"shop/sales/@1.0.0/orders/_metadata", "shop/sales/@1.0.0/orders/.000000000-0000000000000000.parquet.crc",
			"shop/sales/@1.0.0/orders/x.parquet", "shop/sales/@1.0.0/orders/_SUCCESS",
			"shop/sales/@1.0.0/orders/.revisions/x", "shop/sales/@1.0.0/orders/.at/yesterday",
			".annexfs/none", ".annexfs/blobs/none", ".annexfs/blobs/SHA256-s1--00",
		}
		for _, path := range impossible {
			follow(t, m.Path("shop/sales/@1.0.0/orders/.revisions"))
			follow(t, m.Path("shop/sales/@1.0.0/orders/.at"))
			if n := queries(t, m, func() { missing(t, m.Path(path)) }); n != 0 {
				t.Errorf("looking for %s costs %d metadata queries, want 0", path, n)
			}
		}
	})
}

// TestCount_List holds that listing a table with the sizes of its files costs the same number of metadata queries for
// 100,000 files as for ten.
func TestCount_List(t *testing.T) {
	u := harness.Users(t)[0]
	run := func(t *testing.T, b harness.Backend) {
		list := func(files int) int64 {
			r := harness.NewRepo(t, u, b)
			hash := r.Register("big/table", harness.SampleManifest(itoa(files)))
			r.RegisterRows(harness.Rows{Table: "big/table/orders", Hash: hash, Count: files})
			m := r.Mount()
			defer m.Unmount()
			return queries(t, m, func() {
				entries, err := os.ReadDir(m.Path("big/table/@" + hash + "/orders"))
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					if _, err := e.Info(); err != nil {
						t.Fatal(err)
					}
				}
				equal(t, "files listed", len(entries), files)
			})
		}
		few, many := list(10), list(100_000)
		equal(t, "metadata queries of listing 100,000 files, against those of 10 files", many, few)
	}
	t.Run("embedded", func(t *testing.T) { run(t, harness.Backend{}) })
	t.Run("server", func(t *testing.T) { run(t, harness.Servers(t)) })
}

// TestMemory_Footers holds that the daemon's memory does not grow with the footers of the files that it shows.
func TestMemory_Footers(t *testing.T) {
	u := harness.Users(t)[0]
	const files, footer, slack = 3000, 64 << 10, 32 << 20
	peak := func(footerBytes int) int64 {
		r := harness.NewRepo(t, u, harness.Backend{})
		hash := r.Register("big/table", harness.SampleManifest("footers"))
		r.RegisterRows(harness.Rows{Table: "big/table/orders", Hash: hash, Count: files, FooterBytes: footerBytes})
		m := r.Mount()
		defer m.Unmount()
		dir := m.Path("big/table/@" + hash + "/orders")
		for _, name := range harness.Names(t, dir) {
			stat(t, dir+"/"+name)
			getxattr(t, dir+"/"+name, "user.annexfs.rows")
		}
		return m.Memory("VmHWM")
	}
	small, large := peak(16), peak(footer)
	if grown := large - small; grown > slack {
		t.Errorf("with %d MB of footers the daemon's peak grew by %d MB (from %d MB), want at most %d MB",
			files*footer>>20, grown>>20, small>>20, int64(slack)>>20)
	}
}

// TestMemory_Listing holds that listing many files takes the daemon a bounded number of bytes for each of them, and none
// a few seconds later.
func TestMemory_Listing(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		const files, perFile, slack = 400_000, 200, 24 << 20 // slack: what reading anything at all takes
		r := harness.NewRepo(t, u, harness.Backend{})
		hash := r.Register("big/table", harness.SampleManifest("memory"))
		r.RegisterRows(harness.Rows{Table: "big/table/orders", Hash: hash, Count: files})
		m := r.Mount()
		defer m.Unmount()
		begin := m.Memory("RssAnon")
		base := m.Memory("VmHWM")
		equal(t, "files listed", len(harness.Names(t, m.Path("big/table/@"+hash+"/orders"))), files)
		if grown := m.Memory("VmHWM") - base; grown > files*perFile+slack {
			t.Errorf("the daemon's peak grew by %d bytes for each file, want at most %d", grown/files, perFile)
		}
		grown := m.Memory("RssAnon") - begin
		for deadline := time.Now().Add(10 * time.Second); grown > slack && time.Now().Before(deadline); grown = m.Memory("RssAnon") - begin {
			time.Sleep(100 * time.Millisecond)
		}
		if grown > slack {
			t.Errorf("ten seconds after the listing the daemon has %d MB more than before, want at most %d MB", grown>>20, int64(slack)>>20)
		}
	})
}

// follow stats a path through its symlinks.
func follow(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
}
