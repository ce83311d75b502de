package arch_test

import (
	"slices"
	"strings"
	"testing"
)

// rank orders the packages: one may import only those of a lower rank, so packages of one rank are siblings that
// never import each other. A new package must be given its place here.
var rank = map[string]int{
	"internal/fault":   0,
	"internal/durable": 0,
	"internal/dataset": 1,

	"internal/manifest": 2,
	"internal/metadb":   2,
	"internal/objects":  2,

	"registry":  3,
	"datastore": 3,
	"filestore": 3,

	"internal/ingest": 4,
	"fs/staging":      5,
	"internal/repo":   5,
	"fs":              6,
	"cmd/annexfs":     7,
}

// testPackages serve the tests of the package above them and may be imported by tests only.
var testPackages = map[string]bool{
	"internal/metadb/metadbtest":   true,
	"internal/objects/objectstest": true,
}

// owners names the packages that may import a module; all others reach it through them.
var owners = map[string][]string{
	"github.com/hanwen/go-fuse":      {"fs", "fs/staging"},
	"github.com/jackc/pgx":           {"internal/metadb"},
	"modernc.org/sqlite":             {"internal/metadb"},
	"github.com/pressly/goose":       {"internal/metadb"},
	"database/sql":                   {"internal/metadb"},
	"gocloud.dev":                    {"internal/objects"},
	"github.com/parquet-go":          {"datastore", "internal/ingest"},
	"github.com/spf13/cobra":         {"cmd/annexfs"},
	"github.com/pelletier/go-toml":   {"internal/repo"},
	"github.com/schollz/progressbar": {"cmd/annexfs"},
}

func TestImports_Rank(t *testing.T) {
	tr := load(t)
	for _, f := range tr.files {
		if f.test || strings.HasPrefix(f.dir, "test/") || testPackages[f.dir] {
			continue
		}
		own, ok := rank[f.dir]
		if !ok {
			t.Errorf("%s: package %s has no rank; give it one in imports_test.go", f.path, f.dir)
			continue
		}
		for _, name := range f.imports {
			dir, ours := strings.CutPrefix(name, module+"/")
			if !ours {
				continue
			}
			if theirs, ok := rank[dir]; !ok || theirs >= own {
				t.Errorf("%s imports %s, which is not below %s", f.path, dir, f.dir)
			}
		}
	}
}

func TestImports_Owners(t *testing.T) {
	tr := load(t)
	used := map[string]bool{}
	for _, f := range tr.files {
		for _, name := range f.imports {
			owner, ok := ownerOf(name)
			if !ok {
				continue
			}
			used[owner] = true
			if !f.test && !testPackages[f.dir] && !strings.HasPrefix(f.dir, "test/") && !slices.Contains(owners[owner], f.dir) {
				t.Errorf("%s imports %s; only %s may", f.path, name, strings.Join(owners[owner], " and "))
			}
		}
	}
	for name := range owners {
		if !used[name] {
			t.Errorf("nothing imports %s: its rule holds nothing", name)
		}
	}
}

// TestImports_Vocabulary holds that the vocabulary needs nothing but the standard library.
func TestImports_Vocabulary(t *testing.T) {
	tr := load(t)
	for _, f := range tr.files {
		if f.test || f.dir != "internal/dataset" && f.dir != "internal/fault" {
			continue
		}
		for _, name := range f.imports {
			if first, _, _ := strings.Cut(name, "/"); strings.Contains(first, ".") {
				t.Errorf("%s imports %s; only the standard library may be imported there", f.path, name)
			}
		}
	}
}

func ownerOf(name string) (string, bool) {
	for owner := range owners {
		if name == owner || strings.HasPrefix(name, owner+"/") {
			return owner, true
		}
	}
	return "", false
}
