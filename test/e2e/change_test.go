package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/annexfs/annexfs/test/harness"
)

// soon is how late a mount may learn of what another process did.
const soon = time.Second

// TestChange_Tags holds that tags which another process sets, moves and deletes show in a mount that has looked before.
func TestChange_Tags(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, b harness.Backend) {
		s := harness.NewSample(t, u, b)
		m := s.Mount()
		latest := func(want string) func() string {
			return func() string { return differ("@latest", harness.ReadLink(t, m.Path("shop/sales/@latest")), want) }
		}
		harness.Eventually(t, 0, latest("@1.1.0"))
		missing(t, m.Path("shop/sales/@2.0.0"))
		before := inode(t, m.Path("shop/sales/@latest"))

		s.Must("tag", "set", "shop/sales", "2.0.0", s.First)
		harness.Eventually(t, soon, latest("@2.0.0"))
		if after := inode(t, m.Path("shop/sales/@latest")); after == before {
			t.Errorf("@latest moved and its inode number is still %d", after)
		}
		harness.Eventually(t, soon, func() string { return has(t, m.Path("shop/sales"), "@2.0.0", true) })
		orders(t, m.Path("shop/sales/@2.0.0/orders"), s.Orders)
		orders(t, m.Path("shop/sales/@latest/orders"), s.Orders)

		s.Must("tag", "set", "shop/sales", "2.0.0", s.Second, "--force")
		harness.Eventually(t, soon, func() string {
			return differ("manifest of @2.0.0", hashOf(harness.ReadFile(t, m.Path("shop/sales/@2.0.0/manifest.json"))), s.Second)
		})
		harness.Eventually(t, soon, func() string { return count(t, m.Path("shop/sales/@2.0.0/orders"), len(s.Newer)) })
		orders(t, m.Path("shop/sales/@2.0.0/orders"), s.Newer)

		s.Must("tag", "delete", "shop/sales", "2.0.0")
		harness.Eventually(t, soon, latest("@1.1.0"))
		harness.Eventually(t, soon, func() string { return has(t, m.Path("shop/sales"), "@2.0.0", false) })
		harness.Eventually(t, soon, func() string { return exists(m.Path("shop/sales/@2.0.0"), false) })
	})
}

// TestChange_Links holds that datasets and manifests which another process links and unlinks come and go.
func TestChange_Links(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, b harness.Backend) {
		s := harness.NewSample(t, u, b)
		m := s.Mount()
		dev := func(want string) func() string {
			return func() string { return differ("@dev", harness.ReadLink(t, m.Path("shop/sales/@dev")), "@"+want) }
		}
		harness.Eventually(t, 0, dev(s.Second))
		missing(t, m.Path("farm"))

		third := s.Register("shop/sales", harness.SampleManifest("third"))
		harness.Eventually(t, soon, dev(third))
		listed(t, m.Path("shop/sales/@dev"), "manifest.json", "orders", "photos")
		listed(t, m.Path("shop/sales/@dev/orders"))

		s.Must("dataset", "unlink", "shop/sales", third)
		harness.Eventually(t, soon, dev(s.Second))
		harness.Eventually(t, soon, func() string { return exists(m.Path("shop/sales/@"+third), false) })

		s.Must("dataset", "link", "farm/animals", s.First)
		harness.Eventually(t, soon, func() string { return exists(m.Path("farm/animals/@dev/manifest.json"), true) })
		harness.Eventually(t, soon, func() string { return has(t, m.Point, "farm", true) })

		s.Must("dataset", "unlink", "farm/animals", s.First)
		harness.Eventually(t, soon, func() string { return has(t, m.Point, "farm", false) })
	})
}

// TestChange_Files holds that files which another process adds show, and that a reader's listing survives a publish.
func TestChange_Files(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, b harness.Backend) {
		s := harness.NewSample(t, u, b)
		m := s.Mount()
		table := m.Path("shop/sales/@1.1.0/orders")
		original := harness.ReadLink(t, filepath.Join(table, ".revisions/active"))

		more := filepath.Join(harness.Dir(t), "more.parquet")
		harness.WriteParquet(t, more, 9000, 10)
		s.Add("shop/sales/orders", more)
		harness.Eventually(t, soon, func() string { return count(t, table, 3) })
		orders(t, table, append(slices.Clone(s.Newer), more))
		old := harness.Names(t, table)

		open, err := os.Open(filepath.Join(table, old[0]))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = open.Close() }() // read only
		s.Must("add", "shop/sales/orders", s.Orders[0], "--replace")
		harness.Eventually(t, soon, func() string { return count(t, table, 1) })
		orders(t, table, s.Orders[:1])
		replacing := ""
		harness.Eventually(t, soon, func() string { // a listing and a symlink are two things to drop
			if replacing = harness.ReadLink(t, filepath.Join(table, ".revisions/active")); replacing == original {
				return "add --replace left the revision " + original + " active"
			}
			return ""
		})
		for i, name := range old {
			want := harness.ReadFile(t, append(slices.Clone(s.Newer), more)[i])
			equal(t, "a name listed before the publish, "+name, harness.ReadFile(t, filepath.Join(table, name)), want)
		}
		content, err := io.ReadAll(open)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "a file opened before the publish", string(content), harness.ReadFile(t, s.Newer[0]))
		want := []string{original, replacing}
		slices.Sort(want)
		listed(t, filepath.Join(table, ".revisions"), append(want, "active")...)
		orders(t, filepath.Join(table, ".revisions", original), append(slices.Clone(s.Newer), more))

		s.Must("table", "activate", "shop/sales/orders", original)
		harness.Eventually(t, soon, func() string { return count(t, table, 3) })
		harness.Eventually(t, soon, func() string {
			return differ("active", harness.ReadLink(t, filepath.Join(table, ".revisions/active")), original)
		})
	})
}

// TestChange_Reader holds that whoever lists and then opens never meets a missing name, while revisions are replaced.
func TestChange_Reader(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		s := harness.NewSample(t, u, harness.Backend{})
		m := s.Mount()
		reader := s.Command("sh", "-c", `cd "$1" || exit 9
while [ ! -e "$2/stop" ]; do for f in *.parquet; do cat "$f" >/dev/null || exit 1; n=$((n+1)); done; done; echo $n`,
			"sh", m.Path("shop/sales/@1.1.0/orders"), s.Dir)
		var out bytes.Buffer
		reader.Stdout, reader.Stderr = &out, &out
		if err := reader.Start(); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			s.Must("add", "shop/sales/orders", s.Orders[0], s.Orders[1], "--replace")
			s.Must("add", "shop/sales/orders", s.Newer[0], "--replace")
		}
		if err := os.WriteFile(filepath.Join(s.Dir, "stop"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := reader.Wait(); err != nil {
			t.Errorf("the reader ends with %v: %s", err, out.String())
		}
		if files, err := strconv.Atoi(strings.TrimSpace(out.String())); err != nil || files == 0 {
			t.Errorf("the reader says %q, want a number of files", out.String())
		}
	})
}

func differ(what, got, want string) string {
	if got == want {
		return ""
	}
	return fmt.Sprintf("%s: got %s, want %s", what, got, want)
}

func has(t *testing.T, dir, name string, want bool) string {
	t.Helper()
	names := harness.Names(t, dir)
	if slices.Contains(names, name) == want {
		return ""
	}
	return fmt.Sprintf("%s lists %q; %s there: want %v", dir, names, name, want)
}

func exists(path string, want bool) string {
	if _, err := os.Lstat(path); (err == nil) == want {
		return ""
	}
	return fmt.Sprintf("%s there: want %v", path, want)
}

func count(t *testing.T, dir string, want int) string {
	t.Helper()
	names := harness.Names(t, dir)
	if len(names) == want {
		return ""
	}
	return fmt.Sprintf("%s lists %q, want %d names", dir, names, want)
}
