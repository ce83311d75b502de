package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

// asProgram makes the test binary the program: what mount starts in the background is this binary.
const asProgram = "ANNEXFS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	metadbtest.Main(m)
}

// shell runs commands in one repository.
type shell struct {
	*testing.T
	dir string // of the repository
	in  string // directory for files to be added
}

// answer is what a command wrote and exited with.
type answer struct {
	out, err string
	status   int
}

// newShell has a new repository.
func newShell(t *testing.T, init ...string) *shell {
	t.Helper()
	s := &shell{T: t, dir: filepath.Join(t.TempDir(), "repo"), in: t.TempDir()}
	t.Setenv("ANNEXFS_REPO", s.dir)
	s.ok(append([]string{"init", s.dir}, init...)...)
	return s
}

// each runs fn with a repository on each database.
func each(t *testing.T, fn func(s *shell)) {
	t.Helper()
	metadbtest.EachEmpty(t, func(t *testing.T, url string) { fn(newShell(t, "--database", url)) })
}

func execute(ctx context.Context, stdin string, args ...string) answer {
	var out, errs bytes.Buffer
	err := (&app{stdio: stdio{in: strings.NewReader(stdin), out: &out, err: &errs}}).run(ctx, args)
	if err != nil {
		errs.WriteString(message(err))
	}
	return answer{out.String(), errs.String(), status(err)}
}

func (s *shell) run(args ...string) answer { return execute(s.Context(), "", args...) }

// ok runs a command that must succeed and returns its stdout without the last newline.
func (s *shell) ok(args ...string) string {
	s.Helper()
	a := s.run(args...)
	if a.status != 0 {
		s.Fatalf("annexfs %s: status %d\n%s", strings.Join(args, " "), a.status, a.err)
	}
	return strings.TrimSuffix(a.out, "\n")
}

// json runs a command with --json, which must write one document and nothing else to stdout.
func (s *shell) json(v any, args ...string) {
	s.Helper()
	d := json.NewDecoder(strings.NewReader(s.ok(append(args, "--json")...)))
	if err := d.Decode(v); err != nil {
		s.Fatalf("annexfs %s --json: %v", strings.Join(args, " "), err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		s.Errorf("annexfs %s --json: more than one document (%v)", strings.Join(args, " "), err)
	}
}

// fails runs a command that must fail with that status, tell all of want on stderr, and write nothing to stdout.
func (s *shell) fails(status int, want []string, args ...string) {
	s.Helper()
	a := s.run(args...)
	if a.status != status {
		s.Errorf("annexfs %s: status %d, want %d\n%s", strings.Join(args, " "), a.status, status, a.err)
	}
	if a.out != "" {
		s.Errorf("annexfs %s: wrote %q to stdout though it failed", strings.Join(args, " "), a.out)
	}
	for _, w := range want {
		if !strings.Contains(a.err, w) {
			s.Errorf("annexfs %s: stderr %q does not contain %q", strings.Join(args, " "), a.err, w)
		}
	}
}

func (s *shell) write(name string, data []byte) string {
	s.Helper()
	path := filepath.Join(s.in, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		s.Fatal(err)
	}
	return path
}

// order is a row of the table orders.
type order struct {
	ID int64 `parquet:"id"`
}

func (s *shell) orders(name string, ids ...int64) string {
	s.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[order](&b)
	for _, id := range ids {
		if _, err := w.Write([]order{{id}}); err != nil {
			s.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		s.Fatal(err)
	}
	return s.write(name, b.Bytes())
}

// manifestText is a manifest with the tables orders and photos; the note makes it another one.
func manifestText(note string) string {
	return `{"kind": "dataset", "note": "` + note + `", "tables": {
		"orders": {"kind": "parquet", "block_column": "id", "schema": {"fields": [{"name": "id", "type": "int64"}]}},
		"photos": {"kind": "files"}}}`
}

// register registers a manifest and links it to shop/sales.
func (s *shell) register(note string) (hash string) {
	s.Helper()
	hash = s.ok("manifest", "register", s.write(note+".json", []byte(manifestText(note))))
	s.ok("dataset", "link", "shop/sales", hash)
	return hash
}
