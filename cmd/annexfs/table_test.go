package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// addDocument is what add writes with --json.
type addDocument struct {
	TableName string `json:"table_name"`
	Revision  uuid.UUID
	Added     int
	Existing  int
	Bytes     int64
	Files     []addedRow
}

func TestAdd(t *testing.T) {
	each(t, func(s *shell) {
		s.register("one")
		a, b := s.orders("in/a.parquet", 1, 2), s.orders("in/b.parquet", 3)
		var d addDocument
		s.json(&d, "add", "shop/sales/orders", filepath.Dir(a))
		if d.Added != 2 || d.Existing != 0 || d.TableName != "orders" || d.Files[0].Path != a || d.Files[0].Rows != 2 || d.Bytes == 0 {
			s.Errorf("add: got %+v", d)
		}
		s.json(&d, "add", "shop/sales@dev/orders", a, b)
		if d.Added != 0 || d.Existing != 2 {
			s.Errorf("add again: got %+v", d)
		}
		if got := s.run("add", "shop/sales/orders", a, "-v"); !strings.Contains(got.err, "0 files") || !strings.Contains(got.err, a+" -> 000000001-") {
			s.Errorf("add -v: got %q", got.err)
		}
		if got := s.run("add", "shop/sales/orders", a, "-q"); got.err != "" || got.out != "" {
			s.Errorf("add -q: got %q and %q, want silence", got.out, got.err)
		}
		s.json(&d, "add", "--replace", "shop/sales/orders", b)
		var tables []tableRow
		s.json(&tables, "table", "list", "shop/sales@dev")
		if len(tables) != 2 || tables[0].Files != 1 || tables[0].Rows != 1 || *tables[0].Revision != d.Revision || tables[1].Revision != nil {
			s.Errorf("table list: got %+v", tables)
		}
	})
}

func TestAdd_Refused(t *testing.T) {
	s := newShell(t)
	s.register("one")
	good, text := s.orders("good.parquet", 1), s.write("text.parquet", []byte("hello"))
	s.fails(1, []string{text + ": ", "begins with"}, "add", "shop/sales/orders", good, text)
	s.fails(3, []string{"none.parquet: no such file"}, "add", "shop/sales/orders", "none.parquet")
	s.fails(3, []string{"has no table nobody", "orders, photos"}, "add", "shop/sales/nobody", good)
	s.fails(3, []string{"no dataset shop/none"}, "add", "shop/none/orders", good)
	s.fails(2, []string{"namespace/name@version/table"}, "add", "orders", good)
	s.fails(2, []string{"at least 2 arg"}, "add", "shop/sales/orders")
	s.ok("add", "shop/sales/photos", good)
	s.write("good.parquet", []byte("other"))
	s.fails(4, []string{"other content", "--replace"}, "add", "shop/sales/photos", good)
	if out := s.ok("table", "list", "shop/sales@dev", "--json"); strings.Contains(out, `"rows": 1`) {
		s.Errorf("a refused command has added: %s", out)
	}
}

func TestAdd_Interrupted(t *testing.T) {
	s := newShell(t)
	s.register("one")
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	a := execute(ctx, "", "add", "shop/sales/orders", s.orders("a.parquet", 1))
	if a.status != 130 || !strings.Contains(a.err, "interrupted") {
		s.Errorf("interrupted: status %d, %q", a.status, a.err)
	}
}

func TestTable(t *testing.T) {
	each(t, func(s *shell) {
		s.register("one")
		s.fails(3, []string{"no semantic version"}, "table", "list", "shop/sales")
		s.ok("tag", "set", "shop/sales", "1.0.0")
		var first, second addDocument
		s.json(&first, "add", "shop/sales/orders", s.orders("a.parquet", 1))
		s.json(&second, "add", "--replace", "shop/sales/orders", s.orders("b.parquet", 2, 3))
		var shown tableRow
		s.json(&shown, "table", "show", "shop/sales/orders")
		if shown.Rows != 2 || *shown.Revision != second.Revision || len(shown.Schema.Fields) != 1 {
			s.Errorf("show: got %+v", shown)
		}
		if text := s.ok("table", "show", "shop/sales/orders"); !strings.Contains(text, "id      int64  true") {
			s.Errorf("show: got %s", text)
		}
		if text := s.ok("table", "show", "shop/sales/photos"); !strings.Contains(text, "active revision  -") {
			s.Errorf("show of an empty table: got %s", text)
		}
		var revisions []struct {
			Revision uuid.UUID
			Active   bool
			Path     string
		}
		s.json(&revisions, "table", "revisions", "shop/sales/orders")
		if len(revisions) != 2 || revisions[0].Revision != second.Revision || !revisions[0].Active || revisions[1].Active {
			s.Errorf("revisions: got %+v", revisions)
		}
		s.ok("table", "activate", "shop/sales/orders", first.Revision.String())
		s.ok("table", "activate", "shop/sales/orders", first.Revision.String())
		if text := s.ok("table", "list", "shop/sales"); !strings.Contains(text, first.Revision.String()) {
			s.Errorf("list after activate: got %s", text)
		}
		if text := s.ok("table", "revisions", "shop/sales/orders"); !strings.Contains(text, first.Revision.String()+"  active") {
			s.Errorf("revisions after activate: got %s", text)
		}
		s.fails(3, nil, "table", "activate", "shop/sales/orders", uuid.NewString())
		s.fails(2, []string{"no UUID"}, "table", "activate", "shop/sales/orders", "x")
		s.fails(3, []string{"has no table x"}, "table", "show", "shop/sales/x")
	})
}

func TestCat(t *testing.T) {
	each(t, func(s *shell) {
		s.register("one")
		s.ok("tag", "set", "shop/sales", "1.0.0")
		var orders, photos addDocument
		path := s.orders("a.parquet", 1)
		s.json(&orders, "add", "shop/sales/orders", path)
		s.write("photos/x/y.txt", []byte("why"))
		s.json(&photos, "add", "shop/sales/photos", filepath.Join(s.in, "photos"))
		want, err := os.ReadFile(path)
		if err != nil {
			s.Fatal(err)
		}
		if got := s.run("cat", "shop/sales/orders/"+orders.Files[0].FileName); got.out != string(want) {
			s.Errorf("cat of a parquet file: %d bytes (%s), want %d", len(got.out), got.err, len(want))
		}
		for _, name := range []string{"shop/sales/photos/x/y.txt", "shop/sales@dev/photos/x/y.txt", photos.Files[0].Key} {
			if got := s.run("cat", name); got.out != "why" || got.status != 0 {
				s.Errorf("cat %s: got %q, %s", name, got.out, got.err)
			}
		}
		s.fails(1, []string{"is a directory"}, "cat", "shop/sales/photos/x")
		s.fails(3, nil, "cat", "shop/sales/photos/none")
		s.fails(3, nil, "cat", "SHA256E-s5--2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824.txt")
		s.fails(2, []string{"scheme"}, "cat", "MD5-s5--x")
		s.fails(2, []string{"--json"}, "cat", "--json", photos.Files[0].Key)
		for _, store := range []string{"objects", "files"} {
			if err := os.Rename(filepath.Join(s.dir, store), filepath.Join(s.dir, "gone")); err != nil {
				s.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(s.dir, store), 0o755); err != nil {
				s.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(s.dir, "gone")); err != nil {
				s.Fatal(err)
			}
		}
		s.fails(5, []string{"is gone from its store"}, "cat", "shop/sales/orders/"+orders.Files[0].FileName)
		s.fails(5, []string{"is gone from its store"}, "cat", "shop/sales/photos/x/y.txt")
	})
}
