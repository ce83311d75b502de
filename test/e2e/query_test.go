package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/test/harness"
)

// generate makes TPC-H's lineitem at a small scale in 24 files, by the demonstration's recipe.
func generate(t *testing.T) string {
	t.Helper()
	dir := harness.Dir(t)
	me := harness.User{UID: os.Getuid(), GID: os.Getgid()}
	harness.Python(t, me, "test/tpch/generate.py", dir, "--scale", "0.1", "--files", "24")
	return dir
}

// TestQuery_TPCH holds that DuckDB answers TPC-H's Q1 and Q6, and globs of all kinds, over the mount as over the
// original files.
func TestQuery_TPCH(t *testing.T) {
	data := generate(t)
	manifest := harness.ReadFile(t, filepath.Join(harness.Root(t), "test/tpch/manifest.json"))
	harness.Each(t, func(t *testing.T, u harness.User, b harness.Backend) {
		r := harness.NewRepo(t, u, b)
		r.Register("tpch/small", manifest)
		r.Add("tpch/small/lineitem", data+"/lineitem")
		r.Add("tpch/small/queries", data+"/queries")
		r.Must("tag", "set", "tpch/small", "1.0.0")
		m := r.Mount()
		table := m.Path("tpch/small/@1.0.0/lineitem")
		if names := harness.Names(t, table); len(names) != 24 {
			t.Fatalf("%s lists %d files, want 24", table, len(names))
		}
		ask := func(glob string) []string {
			var sql []string
			for _, name := range []string{"q01.sql", "q06.sql"} {
				text := harness.ReadFile(t, m.Path("tpch/small/@1.0.0/queries", name))
				sql = append(sql, strings.Replace(text, "lineitem", "'"+glob+"'", 1))
			}
			sql = append(sql, "SELECT count(*), sum(l_extendedprice), min(l_comment), max(l_comment) FROM '"+glob+"'")
			return strings.Split(strings.TrimSpace(harness.Python(t, u, "test/e2e/testdata/query.py", sql...)), "\n")
		}
		want := ask(data + "/lineitem/*.parquet")
		for _, glob := range []string{
			table + "/*.parquet", table + "/**/*.parquet", table + "/0*.parquet", m.Path("tpch/small/@latest/lineitem/*.parquet"),
			m.Path("tpch/*/@1.0.0/line*/*.parquet"), m.Path("tpch/small/@dev/lineitem/*.parquet"),
			table + "/.revisions/active/*.parquet",
		} {
			if diff := cmp.Diff(want, ask(glob)); diff != "" {
				t.Errorf("%s (-plain +mounted):\n%s", glob, diff)
			}
		}
	})
}

// TestQuery_Readers holds that other readers of parquet meet the table's rows and no others when they are given its
// directory.
func TestQuery_Readers(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, b harness.Backend) {
		s := harness.NewSample(t, u, b)
		m := s.Mount()
		out := harness.Python(t, u, "test/e2e/testdata/readers.py", m.Path("shop/sales/@1.0.0/orders"), "id")
		type answer struct {
			Reader    string
			Rows, Sum int64
		}
		var got []answer
		for line := range strings.Lines(out) {
			var a answer
			if err := json.Unmarshal([]byte(line), &a); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			got = append(got, a)
		}
		const rows, sum = 2500, 2499 * 2500 / 2
		want := []answer{{"duckdb", rows, sum}, {"polars", rows, sum}, {"pyarrow", rows, sum}, {"pandas", rows, sum}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("readers (-want +got):\n%s", diff)
		}
	})
}
