// Package arch_test holds the rules of the source tree that a compiler does not: who may import whom, what a package
// may not do, how large a file may grow.
package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/annexfs/annexfs"

// file is one parsed Go file of the module.
type file struct {
	path    string // below the module's root, with slashes
	dir     string
	test    bool
	lines   int
	syntax  *ast.File
	imports []string
}

// tree is every Go file of the module.
type tree struct {
	fset  *token.FileSet
	files []file
}

// load parses the module.
func load(t *testing.T) tree {
	t.Helper()
	root := filepath.Join("..", "..")
	tr := tree{fset: token.NewFileSet()}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != root && (strings.HasPrefix(name, ".") && name != ".." || name == "testdata" || skipped(root, p)) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := tr.parse(root, p)
		if err != nil {
			return err
		}
		tr.files = append(tr.files, f)
		return nil
	})
	if err != nil {
		t.Fatalf("reading the module: %v", err)
	}
	if len(tr.files) == 0 {
		t.Fatal("found no Go file: these tests would hold nothing")
	}
	return tr
}

// skipped tells of directories that are made, not written.
func skipped(root, p string) bool {
	rel, err := filepath.Rel(root, p)
	return err == nil && (rel == "bin" || rel == "demo")
}

func (tr tree) parse(root, p string) (file, error) {
	data, err := os.ReadFile(p)
	if err != nil {
		return file{}, err
	}
	syntax, err := parser.ParseFile(tr.fset, p, data, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return file{}, err
	}
	rel, err := filepath.Rel(root, p)
	if err != nil {
		return file{}, err
	}
	f := file{
		path:   filepath.ToSlash(rel),
		dir:    path.Dir(filepath.ToSlash(rel)),
		test:   strings.HasSuffix(p, "_test.go"),
		lines:  strings.Count(string(data), "\n"),
		syntax: syntax,
	}
	for _, spec := range syntax.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return file{}, err
		}
		f.imports = append(f.imports, name)
	}
	return f, nil
}

// at says where a node stands, as file:line below the module's root.
func (tr tree) at(f file, n ast.Node) string {
	return f.path + ":" + strconv.Itoa(tr.fset.Position(n.Pos()).Line)
}
