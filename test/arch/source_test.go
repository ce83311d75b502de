package arch_test

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
	"testing"
)

// fileBudget is how many lines a file may have.
const fileBudget = 400

func TestSource_FileBudget(t *testing.T) {
	for _, f := range load(t).files {
		if f.lines > fileBudget {
			t.Errorf("%s has %d lines; the budget is %d", f.path, f.lines, fileBudget)
		}
	}
}

// TestSource_PackageComment holds that each package says once what it owns.
func TestSource_PackageComment(t *testing.T) {
	comments := map[string][]string{}
	for _, f := range load(t).files {
		external := strings.HasSuffix(f.syntax.Name.Name, "_test") && !strings.HasPrefix(f.dir, "test/")
		if external {
			continue
		}
		if _, ok := comments[f.dir]; !ok {
			comments[f.dir] = nil
		}
		if f.syntax.Doc != nil {
			comments[f.dir] = append(comments[f.dir], f.path)
			want := "Package " + f.syntax.Name.Name + " "
			if f.syntax.Name.Name == "main" {
				want = "Command "
			}
			if got := f.syntax.Doc.Text(); !strings.HasPrefix(got, want) {
				t.Errorf("%s: the package comment begins %.20q; want %q", f.path, got, want)
			}
		}
	}
	for dir, paths := range comments {
		if len(paths) != 1 {
			t.Errorf("package %s has %d package comments %v; want one", dir, len(paths), paths)
		}
	}
}

// TestSource_Exits holds that packages return errors: they neither end the process nor panic nor invent a context.
func TestSource_Exits(t *testing.T) {
	tr := load(t)
	for _, f := range tr.files {
		if f.test || strings.HasPrefix(f.dir, "test/") {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name := callee(call)
			exits := strings.HasPrefix(name, "log.Fatal") || strings.HasPrefix(name, "log.Panic") || name == "panic"
			if exits || name == "context.TODO" || name == "os.Exit" && f.path != "cmd/annexfs/main.go" {
				t.Errorf("%s calls %s", tr.at(f, call), name)
			}
			return true
		})
	}
}

// TestSource_Inits holds that importing a package does nothing.
func TestSource_Inits(t *testing.T) {
	tr := load(t)
	for _, f := range tr.files {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s is an init function", tr.at(f, fn))
			}
		}
	}
}

// TestSource_LoudSkips holds that a test which cannot run here says so in words that the report counts.
func TestSource_LoudSkips(t *testing.T) {
	tr := load(t)
	for _, f := range tr.files {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Skip" && sel.Sel.Name != "Skipf" && sel.Sel.Name != "SkipNow" {
				return true
			}
			if len(call.Args) == 0 {
				if sel.Sel.Name == "SkipNow" {
					t.Errorf("%s skips in silence", tr.at(f, call))
				}
				return true
			}
			if !strings.Contains(literal(call.Args[0]), "NOT RUN HERE: ") {
				t.Errorf("%s skips without \"NOT RUN HERE: \" and the reason", tr.at(f, call))
			}
			return true
		})
	}
}

// TestSource_Documented holds that every exported name has a comment.
func TestSource_Documented(t *testing.T) {
	tr := load(t)
	for _, f := range tr.files {
		if f.test || f.syntax.Name.Name == "main" {
			continue
		}
		for _, d := range f.syntax.Decls {
			for name, at := range undocumented(d) {
				t.Errorf("%s: %s is exported and has no comment", tr.at(f, at), name)
			}
		}
	}
}

func TestSource_NothingPutOff(t *testing.T) {
	tr := load(t)
	putOff := regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)
	for _, f := range tr.files {
		for _, group := range f.syntax.Comments {
			if word := putOff.FindString(group.Text()); word != "" && f.dir != "test/arch" {
				t.Errorf("%s: a comment says %s", tr.at(f, group), word)
			}
		}
		if f.syntax.Name.Name == "util" || strings.Contains(f.dir, "util") {
			t.Errorf("%s: a package is named for what it does, not util", f.path)
		}
	}
}

// callee names what a call calls, as pkg.Name or name.
func callee(call *ast.CallExpr) string {
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		if x, ok := fun.X.(*ast.Ident); ok {
			return x.Name + "." + fun.Sel.Name
		}
	}
	return ""
}

// literal is the text of the string constants in an expression.
func literal(e ast.Expr) string {
	var b strings.Builder
	ast.Inspect(e, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			b.WriteString(strings.Trim(lit.Value, "\"`"))
		}
		return true
	})
	return b.String()
}

// known are the methods whose contract the standard library has written.
var known = map[string]bool{"Error": true, "String": true, "Is": true, "Unwrap": true, "Close": true}

// undocumented yields the exported names that a declaration leaves without a comment.
func undocumented(d ast.Decl) map[string]ast.Node {
	missing := map[string]ast.Node{}
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && !known[d.Name.Name] && (d.Recv == nil || exportedType(d.Recv.List[0].Type)) {
			missing[d.Name.Name] = d
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && s.Doc == nil && d.Doc == nil {
					missing[s.Name.Name] = s
				}
			case *ast.ValueSpec:
				for _, name := range s.Names {
					if name.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil && !enumerated(d) {
						missing[name.Name] = s
					}
				}
			}
		}
	}
	return missing
}

// enumerated tells of a group of constants whose first one's comment speaks for all.
func enumerated(d *ast.GenDecl) bool {
	first, ok := d.Specs[0].(*ast.ValueSpec)
	return ok && d.Tok == token.CONST && first.Doc != nil
}

func exportedType(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.StarExpr:
		return exportedType(e.X)
	case *ast.IndexExpr:
		return exportedType(e.X)
	case *ast.Ident:
		return e.IsExported()
	}
	return false
}
