package e2e_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/annexfs/annexfs/test/harness"
)

// TestTools runs what people point at a directory, and checks that nothing complains.
func TestTools(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, b harness.Backend) {
		s := harness.NewSample(t, u, b)
		m := s.Mount()
		version := m.Path("shop/sales/@1.0.0")
		quiet := func(name string, args ...string) string {
			t.Helper()
			result := s.Exec(name, args...)
			if result.Code != 0 || result.Stderr != "" {
				t.Fatalf("%s %s: exit status %d\n%s", name, strings.Join(args, " "), result.Code, result.Stderr)
			}
			return result.Stdout
		}

		if out := quiet("ls", "-l", m.Path("shop/sales")); !strings.Contains(out, "@latest -> @1.1.0\n") {
			t.Errorf("ls -l says\n%s", out)
		}
		quiet("ls", "-laR", m.Point)
		files := lines(quiet("find", version, "-type", "f"))
		equal(t, "files that find meets", len(files), 1+len(s.Orders)+len(harness.PhotoFiles))
		equal(t, "files larger than 1 kB", len(lines(quiet("find", version, "-name", "*.parquet", "-size", "+1k"))), len(s.Orders))

		var bytes int64
		for _, path := range s.Orders {
			bytes += stat(t, path).Size()
		}
		equal(t, "du -b", quiet("du", "-b", "-S", "--apparent-size", version+"/orders"),
			itoa(int(bytes+stat(t, version+"/orders").Size()))+"\t"+version+"/orders\n")

		copies := harness.Dir(t)
		quiet("cp", "-r", version, filepath.Join(copies, "cp"))
		quiet("rsync", "-a", version+"/", filepath.Join(copies, "rsync"))
		if again := quiet("rsync", "-a", "--itemize-changes", version+"/", filepath.Join(copies, "rsync")); again != "" {
			t.Errorf("a second rsync copies again:\n%s", again)
		}
		quiet("sh", "-c", `tar -C "$1" -cf - . | tar -C "$2" -xf -`, "sh", version, mkdir(t, copies, "tar"))
		for _, tool := range []string{"cp", "rsync", "tar"} {
			quiet("diff", "-r", version, filepath.Join(copies, tool))
			orders(t, filepath.Join(copies, tool, "orders"), s.Orders)
			photos(t, filepath.Join(copies, tool, "photos"))
			quiet("chmod", "-R", "u+w", filepath.Join(copies, tool)) // so that it can be removed
		}
		if out := quiet("getfattr", "-d", "--absolute-names", files[0]); !strings.Contains(out, "user.annexfs.sha256=") {
			t.Errorf("getfattr says\n%s", out)
		}
		equal(t, "realpath", quiet("realpath", m.Path("shop/sales/@latest/orders")), m.Path("shop/sales/@1.1.0/orders")+"\n")
	})
}

// TestTools_Shell has a shell sit in the tree while the tree changes below it.
func TestTools_Shell(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		s := harness.NewSample(t, u, harness.Backend{})
		m := s.Mount()
		out := s.MustExec("sh", "-ec", `cd "$1"; ls >/dev/null; annexfs add shop/sales/orders "$2" --replace >/dev/null 2>&1
for i in 1 2 3 4 5 6 7 8 9 10; do [ "$(ls | wc -l)" = 1 ] && break; sleep 0.1; done; ls | wc -l; pwd`,
			"sh", m.Path("shop/sales/@1.1.0/orders"), s.Orders[0])
		equal(t, "what the shell sees", out, "1\n"+m.Path("shop/sales/@1.1.0/orders"))
	})
}

func lines(out string) []string {
	found := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	slices.Sort(found)
	return found
}

func mkdir(t *testing.T, names ...string) string {
	t.Helper()
	path := filepath.Join(names...)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
