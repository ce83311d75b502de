package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/annexfs/annexfs/internal/fault"
)

func TestStatus(t *testing.T) {
	tests := []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{fs.ErrInvalid, 1},
		{fs.ErrPermission, 1},
		{&usageError{fs.ErrNotExist, ""}, 2},
		{fmt.Errorf("x: %w", fs.ErrNotExist), 3},
		{fmt.Errorf("x: %w", fs.ErrExist), 4},
		{errors.Join(fs.ErrNotExist, fault.ErrConflict), 4},
		{errors.Join(fault.ErrConflict, fault.ErrCorrupt), 5},
		{fmt.Errorf("x: %w", context.Canceled), 130},
		{&statusError{"x", 4}, 4},
	}
	for _, tt := range tests {
		if got := status(tt.err); got != tt.want {
			t.Errorf("status(%v) = %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("ANNEXFS_REPO", "")
	tests := []struct {
		args []string
		want []string
	}{
		{[]string{}, []string{"needs a command", "mount"}},
		{[]string{"bogus"}, []string{`unknown command "bogus"`}},
		{[]string{"tag"}, []string{"annexfs tag needs a command: delete, list, set"}},
		{[]string{"tag", "bogus"}, []string{`unknown command "bogus" for annexfs tag`}},
		{[]string{"status", "--bogus"}, []string{"unknown flag: --bogus", "annexfs status --help"}},
		{[]string{"status", "extra"}, []string{"extra"}},
		{[]string{"tag", "set", "a/b"}, []string{"between 2 and 3 arg"}},
		{[]string{"umount"}, []string{"accepts 1 arg"}},
	}
	for _, tt := range tests {
		a := execute(t.Context(), "", tt.args...)
		if a.status != 2 || a.out != "" {
			t.Errorf("%v: status %d, stdout %q; want 2 and nothing", tt.args, a.status, a.out)
		}
		for _, want := range tt.want {
			if !strings.Contains(a.err, want) {
				t.Errorf("%v: stderr %q does not contain %q", tt.args, a.err, want)
			}
		}
	}
}

// TestNoRepository holds that every command that needs a repository says how to come by one.
func TestNoRepository(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("ANNEXFS_REPO", "")
	hash := strings.Repeat("a", 64)
	for _, args := range [][]string{
		{"manifest", "list"}, {"manifest", "show", hash}, {"dataset", "list"}, {"tag", "list", "a/b"}, {"resolve", "a/b"},
		{"table", "list", "a/b"}, {"add", "a/b/c", "d"}, {"cat", "a/b/c/d"}, {"gc"}, {"migrate"}, {"mount"}, {"status"},
	} {
		if a := execute(t.Context(), "", args...); a.status != 3 || !strings.Contains(a.err, "annexfs init") || a.out != "" {
			t.Errorf("%v: status %d, %q, %q; want 3 and the way on", args, a.status, a.err, a.out)
		}
	}
}

func TestInit(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("ANNEXFS_REPO", "")
	s := &shell{T: t}
	var first, second struct {
		Repository, UUID, Database, Objects string
		Created                             bool
	}
	s.json(&first, "init")
	s.json(&second, "init", ".")
	if !first.Created || second.Created || first.UUID != second.UUID || first.Repository != dir || first.Database != "sqlite:annexfs.db" {
		t.Errorf("init: got %+v, then %+v", first, second)
	}
	if a := s.run("init"); a.out != "" || !strings.Contains(a.err, "nothing was changed") {
		t.Errorf("init again: got %q, %q", a.out, a.err)
	}
	if err := os.MkdirAll("x/y", 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir("x/y")
	s.ok("dataset", "list")
	s.fails(4, []string{"edit annexfs.toml"}, "init", dir, "--objects", "file:elsewhere")
	other := t.TempDir()
	if err := os.Mkdir(filepath.Join(other, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.fails(4, []string{"another kind of repository"}, "init", other)
	s.fails(3, []string{"named by --repo"}, "dataset", "list", "--repo", other)
}

func TestMigrate(t *testing.T) {
	each(t, func(s *shell) {
		var m struct {
			From int `json:"from_version"`
			To   int `json:"to_version"`
		}
		s.json(&m, "migrate")
		if m.From != m.To || m.To == 0 {
			s.Errorf("migrate: got %+v", m)
		}
		if a := s.run("migrate"); !strings.Contains(a.err, "nothing was changed") {
			s.Errorf("migrate: got %q", a.err)
		}
	})
}

func TestVersion(t *testing.T) {
	s := &shell{T: t}
	var v struct {
		Version   string
		GoVersion string `json:"go_version"`
		Platform  string
	}
	s.json(&v, "version")
	if v.Version == "" || !strings.HasPrefix(v.GoVersion, "go1.") || !strings.Contains(s.ok("version"), v.Version) {
		t.Errorf("version: got %+v", v)
	}
}

func TestCompletion(t *testing.T) {
	s := &shell{T: t}
	for shell, want := range map[string]string{"bash": "__start_annexfs", "zsh": "#compdef annexfs", "fish": "complete -c annexfs"} {
		if got := s.ok("completion", shell); !strings.Contains(got, want) {
			t.Errorf("completion %s does not contain %q", shell, want)
		}
	}
}

// TestBadConfig holds that a mistake in the configuration is told by name.
func TestBadConfig(t *testing.T) {
	s := newShell(t)
	path := filepath.Join(s.dir, "annexfs.toml")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append([]byte("databse = 'x'\n"), data...), 0o644); err != nil {
		t.Fatal(err)
	}
	s.fails(1, []string{"annexfs.toml: unknown key databse (line 1)"}, "dataset", "list")
}
