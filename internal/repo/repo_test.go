package repo_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
	"github.com/annexfs/annexfs/internal/repo"
)

func TestMain(m *testing.M) { metadbtest.Main(m) }

// tree is the names below a directory with what files hold.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			all[path] = ""
			return err
		}
		data, err := os.ReadFile(path)
		all[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func initRepo(t *testing.T, dir string, o repo.InitOptions) repo.Config {
	t.Helper()
	c, created, err := repo.Init(t.Context(), dir, o)
	if err != nil || !created {
		t.Fatalf("Init: created %t, %v", created, err)
	}
	return c
}

func TestInit_Twice(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "repo")
	c := initRepo(t, dir, repo.InitOptions{})
	before := tree(t, dir)
	again, created, err := repo.Init(t.Context(), dir, repo.InitOptions{})
	if err != nil || created {
		t.Fatalf("Init again: created %t, %v", created, err)
	}
	if diff := cmp.Diff(c, again); diff != "" {
		t.Errorf("configuration (-first +second):\n%s", diff)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("directory (-before +after):\n%s", diff)
	}
}

func TestInit_Registers(t *testing.T) {
	metadbtest.EachEmpty(t, func(t *testing.T, url string) {
		for range 2 { // two repositories of one name in one database
			dir := filepath.Join(t.TempDir(), "repo")
			c := initRepo(t, dir, repo.InitOptions{Database: url})
			if _, _, err := repo.Init(t.Context(), dir, repo.InitOptions{}); err != nil {
				t.Fatal(err)
			}
			r, err := repo.Open(t.Context(), dir, repo.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			var name, location, kind string
			err = r.DB.QueryRow(t.Context(), `SELECT name, url, kind FROM repositories WHERE uuid = $1`, c.UUID.String()).Scan(&name, &location, &kind)
			if err != nil || !strings.HasPrefix(name, "repo") || !strings.HasSuffix(location, dir) || kind != "local" {
				t.Errorf("row: got %q, %q, %q, %v", name, location, kind, err)
			}
		}
	})
}

func TestInit_Concurrent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "repo")
	var g errgroup.Group
	configs, created := make([]repo.Config, 8), make([]bool, 8)
	for n := range configs {
		g.Go(func() (err error) {
			configs[n], created[n], err = repo.Init(t.Context(), dir, repo.InitOptions{})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	makers := 0
	for n, c := range configs {
		if c.UUID != configs[0].UUID {
			t.Errorf("two UUIDs: %s and %s", c.UUID, configs[0].UUID)
		}
		if created[n] {
			makers++
		}
	}
	if makers != 1 {
		t.Errorf("%d made the repository, want 1", makers)
	}
}

func TestInit_Refuses(t *testing.T) {
	tests := []struct {
		name, holds string
		want        string
	}{
		{"git", ".git/HEAD", "another kind of repository (it has .git)"},
		{"bare git", "HEAD", "it has HEAD"},
		{"dvc", ".dvc/config", ".dvc"},
		{"objects", "objects/x", "in the way"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, tt.holds)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, tt.holds), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			before := tree(t, dir)
			_, _, err := repo.Init(t.Context(), dir, repo.InitOptions{})
			if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Init: got %v, want fs.ErrExist that contains %q", err, tt.want)
			}
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Errorf("directory (-before +after):\n%s", diff)
			}
		})
	}
}

func TestInit_FailureLeavesNothing(t *testing.T) {
	for _, o := range []repo.InitOptions{
		{Objects: "bogus://x"},
		{Objects: "https://example.com"},
		{Database: "mysql://x"},
		{Database: "postgres://u@127.0.0.1:1/none"},
		{Database: "postgres://u:${ANNEXFS_TEST_UNSET}@127.0.0.1:1/none"},
	} {
		parent := t.TempDir()
		_, _, err := repo.Init(t.Context(), filepath.Join(parent, "a", "b"), o)
		if err == nil {
			t.Errorf("Init with %+v: no error", o)
		}
		if got := tree(t, parent); len(got) != 1 {
			t.Errorf("Init with %+v left %v", o, got)
		}
	}
}

func TestInit_OtherOptions(t *testing.T) {
	dir := t.TempDir()
	initRepo(t, dir, repo.InitOptions{})
	for _, o := range []repo.InitOptions{{Database: "sqlite:other.db"}, {Objects: "file:other"}} {
		if _, _, err := repo.Init(t.Context(), dir, o); !errors.Is(err, fault.ErrConflict) {
			t.Errorf("Init with %+v: got %v, want a conflict", o, err)
		}
	}
	if _, _, err := repo.Init(t.Context(), dir, repo.InitOptions{Database: "sqlite:annexfs.db", Objects: "file:objects"}); err != nil {
		t.Errorf("Init with what it has: %v", err)
	}
}

// edit changes the configuration of a new repository and returns its directory.
func edit(t *testing.T, before, after string) string {
	t.Helper()
	dir := t.TempDir()
	initRepo(t, dir, repo.InitOptions{})
	path := filepath.Join(dir, repo.ConfigName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), before) {
		t.Fatalf("the configuration has no %q:\n%s", before, data)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(data), before, after)), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOpen_BadConfig(t *testing.T) {
	tests := []struct{ old, new, want string }{
		{"point =", "pint =", "unknown key mount.pint (line"},
		{"version = 1", "version = 2", "version is 2; this program knows version 1"},
		{"version = 1", "version = ", "line 3"},
		{"files = 'files'", "", "key files is missing"},
		{"uuid = ", "uid = ", "unknown key uid"},
		{"'256MiB'", "'lots'", `"lots" is no size`},
		{"sqlite:annexfs.db", "sqlite:${ANNEXFS_TEST_UNSET}", "${ANNEXFS_TEST_UNSET} not set in the environment"},
	}
	for _, tt := range tests {
		dir := edit(t, tt.old, tt.new)
		r, err := repo.Open(t.Context(), dir, repo.Options{})
		if r != nil || !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Open with %q: got %v, want fs.ErrInvalid that contains %q", tt.new, err, tt.want)
		}
	}
}

func TestOpen_MissingParts(t *testing.T) {
	for _, part := range []string{"annexfs.db", "objects", "files"} {
		dir := t.TempDir()
		initRepo(t, dir, repo.InitOptions{})
		if err := os.Rename(filepath.Join(dir, part), filepath.Join(dir, "gone")); err != nil {
			t.Fatal(err)
		}
		if _, err := repo.Open(t.Context(), dir, repo.Options{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open without %s: got %v, want fs.ErrNotExist", part, err)
		}
		if part == "annexfs.db" {
			if _, _, err := repo.Migrate(t.Context(), dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Migrate without a database: got %v, want fs.ErrNotExist", err)
			}
		}
	}
}

// TestOpen_Environment names a user with characters that a URL has to escape.
func TestOpen_Environment(t *testing.T) {
	t.Setenv("ANNEXFS_TEST_USER", "me@home/:x y")
	dir := edit(t, "sqlite:annexfs.db", "postgres://${ANNEXFS_TEST_USER}:${ANNEXFS_TEST_USER}@db.example:5432/x")
	r, err := repo.Open(t.Context(), dir, repo.Options{})
	if err == nil {
		r.Close()
		t.Fatal("Open: no error, and there is no such server")
	}
	if errors.Is(err, fs.ErrInvalid) || strings.Contains(err.Error(), "x%20y@") {
		t.Errorf("Open: got %v, want a URL that is understood, and no password in it", err)
	}
	url := metadbtest.Postgres(t)
	t.Setenv("ANNEXFS_TEST_URL", url)
	dir = edit(t, "sqlite:annexfs.db", "${ANNEXFS_TEST_URL}")
	if r, err = repo.Open(t.Context(), dir, repo.Options{}); err != nil {
		t.Fatalf("Open by a URL from the environment: %v", err)
	}
	defer r.Close()
	if got := r.DB.Dialect(); got != metadb.Postgres {
		t.Errorf("database: got %s, want PostgreSQL", got)
	}
}

func TestFind(t *testing.T) {
	root := t.TempDir()
	a, b := filepath.Join(root, "a"), filepath.Join(root, "b")
	for _, dir := range []string{a, b} {
		initRepo(t, dir, repo.InitOptions{})
	}
	deep := filepath.Join(a, "x", "y")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, flag, env, cwd, want string
	}{
		{"here", "", "", a, a},
		{"above", "", "", deep, a},
		{"environment before above", "", b, deep, b},
		{"flag before environment", a, b, root, a},
		{"relative flag", "../../../b", "", deep, b},
		{"none", "", "", root, ""},
		{"flag is not searched from", deep, "", root, ""},
		{"environment is not searched from", "", deep, a, ""},
	}
	for _, tt := range tests {
		got, err := repo.Find(tt.flag, tt.env, tt.cwd)
		if got != tt.want || (tt.want == "") != errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestByteSize(t *testing.T) {
	for text, want := range map[string]repo.ByteSize{"256MiB": 256 << 20, "1 GB": 1e9, "0": 0, "1024": 1024} {
		var got repo.ByteSize
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", text, got, err, want)
		}
	}
}

func FuzzByteSize(f *testing.F) {
	f.Add("256MiB")
	f.Add("-1")
	f.Add("99999999999999999999 EB")
	f.Fuzz(func(t *testing.T, text string) {
		var b repo.ByteSize
		if err := b.UnmarshalText([]byte(text)); err == nil && b < 0 {
			t.Errorf("%q is %d", text, b)
		}
	})
}
