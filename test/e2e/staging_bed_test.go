package e2e_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/annexfs/annexfs/test/harness"
)

// bed is a mounted repository with the dataset shop/sales, whose staging a test writes to.
type bed struct {
	*harness.Repo
	*harness.Mount
	Manifest string // its hash
	in       string // a directory of the user's outside the mount, for what is to be copied
}

// tables of a bed: name and kind.
type tables map[string]string

const (
	orderTable       = "orders"             // as harness.WriteParquet writes it
	partitionedTable = "partitioned orders" // with a column region, by which it is partitioned
	keyedTable       = "keyed orders"       // partitioned by region, which is no column of its files
	filesTable       = "files"
)

// newBed makes a bed as the user that the calling thread runs as.
func newBed(t *testing.T, u harness.User, b harness.Backend, declared tables) *bed {
	t.Helper()
	r := harness.NewRepo(t, u, b)
	hash := r.Register("shop/sales", declared.manifest(t))
	return &bed{Repo: r, Mount: r.Mount(), Manifest: hash, in: harness.Dir(t)}
}

func (d tables) manifest(t testing.TB) string {
	t.Helper()
	type object = map[string]any
	declared := object{}
	for name, kind := range d {
		if kind == filesTable {
			declared[name] = object{"kind": "files"}
			continue
		}
		fields := []object{
			{"name": "id", "type": "int64", "nullable": false},
			{"name": "name", "type": "utf8", "nullable": false},
			{"name": "amount", "type": "float64", "nullable": false},
		}
		table := object{"kind": "parquet", "block_column": "id"}
		if kind == partitionedTable {
			fields = append(fields, object{"name": "region", "type": "utf8"})
		}
		if kind != orderTable {
			table["partition_by"] = []string{"region"}
		}
		table["schema"] = object{"fields": fields}
		declared[name] = table
	}
	text, err := json.Marshal(object{"kind": "dataset", "tables": declared})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// visible is how late what was copied may be in the table: not at all.
const visible = 0

// staging is a path below the staging directory of shop/sales, by the way that people go.
func (b *bed) staging(names ...string) string {
	return b.Path(append([]string{"shop/sales/@staging"}, names...)...)
}

// table is a path below shop/sales/@dev.
func (b *bed) table(names ...string) string {
	return b.Path(append([]string{"shop/sales/@dev"}, names...)...)
}

// source makes a directory with one good file, a.parquet with the ids [first, first+rows), and returns the file's path.
func (b *bed) source(t *testing.T, first, rows int) string {
	t.Helper()
	path := filepath.Join(b.newDir(t), "a.parquet")
	harness.WriteParquet(t, path, first, rows)
	return path
}

// foreign is source with a file of another schema.
func (b *bed) foreign(t *testing.T) string {
	t.Helper()
	path := filepath.Join(b.newDir(t), "a.parquet")
	writeForeign(t, path)
	return path
}

func (b *bed) newDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(b.in, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// holds checks that a table of orders holds the ids [0, rows) in so many files, by asking DuckDB through the mount.
func (b *bed) holds(t *testing.T, table string, files, rows int) {
	t.Helper()
	b.span(t, b.table(table), files, 0, rows)
}

// span checks that a directory holds the ids [first, first+rows) in so many files.
func (b *bed) span(t *testing.T, dir string, files, first, rows int) {
	t.Helper()
	harness.Eventually(t, visible, func() string { return count(t, dir, files) })
	names := harness.Names(t, dir)
	if files == 0 {
		return
	}
	for _, name := range names {
		if !parquetName.MatchString(name) {
			t.Errorf("%s: name %q is not of the form block-suffix.parquet", dir, name)
		}
	}
	type answer struct{ Rows, Distinct, Min, Sum, Names int }
	last := first + rows - 1
	want := answer{rows, rows, first, (first + last) * rows / 2, rows}
	var got [][]int
	b.sql(t, &got, `SELECT count(*), count(DISTINCT id), min(id), sum(id)::BIGINT, count(*) FILTER (name = 'order ' || id)
		FROM '`+dir+`/*.parquet'`)
	if len(got) != 1 || len(got[0]) != 5 {
		t.Fatalf("DuckDB answers %v", got)
	}
	equal(t, "DuckDB's rows, distinct, min, sum and names of "+dir,
		answer{got[0][0], got[0][1], got[0][2], got[0][3], got[0][4]}, want)
}

// sql asks DuckDB, in the worker.
func (b *bed) sql(t *testing.T, rows any, text string) {
	t.Helper()
	answer, err := workers.of(t, b.User).do("sql", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if err := json.Unmarshal(answer, rows); err != nil {
		t.Fatalf("%v\n%s", err, answer)
	}
}

// report checks that a refusal is told beside the file: that its report names the file, the errno and why.
func report(t *testing.T, path string, errno syscall.Errno, says ...string) {
	t.Helper()
	text, err := os.ReadFile(path + ".error")
	if err != nil {
		t.Errorf("nothing tells of the refusal: %v", err)
		return
	}
	for _, want := range append(says, filepath.Base(path), errno.Error(), "What to do: ") {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s.error does not say %q:\n%s", path, want, text)
		}
	}
}

// reportBelow checks that one of the reports below a directory says all of this.
func reportBelow(t *testing.T, dir string, errno syscall.Errno, says ...string) {
	t.Helper()
	reports := map[string]string{}
	for path, text := range content(t, dir) {
		if !strings.HasSuffix(path, ".error") {
			continue
		}
		reports[path] = text
		lacks := func(want string) bool { return !strings.Contains(text, want) }
		if !slices.ContainsFunc(append(says, errno.Error(), "What to do: "), lacks) {
			return
		}
	}
	t.Errorf("no report below %s says %q and %q: %q", dir, says, errno, reports)
}

// staged checks what lies in a staging directory, reports left out.
func staged(t *testing.T, dir string, want ...string) {
	t.Helper()
	names := slices.DeleteFunc(harness.Names(t, dir), func(name string) bool { return strings.HasSuffix(name, ".error") })
	if !slices.Equal(names, want) {
		t.Errorf("%s lists %q, want %q", dir, names, want)
	}
}

// unstaged checks that a staging directory lists nothing, no report either.
func unstaged(t *testing.T, dir string) {
	t.Helper()
	listed(t, dir)
}

// touch creates a file that must not be there, as the kernel has touch do it.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// put copies a file as cp does.
func put(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }() // only read
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, struct{ io.Reader }{source})
	return errors.Join(err, f.Close())
}

func closeAll(err error, files ...io.Closer) error {
	for _, f := range files {
		err = errors.Join(err, f.Close())
	}
	return err
}

// fails checks that something is refused with an errno.
func fails(t *testing.T, what string, err error, want syscall.Errno) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func succeeds(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
