package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestManifest(t *testing.T) {
	each(t, func(s *shell) {
		path := s.write("m.json", []byte(manifestText("one")))
		hash := s.ok("manifest", "register", path)
		if a := execute(s.Context(), manifestText("one"), "manifest", "register", "-"); a.out != hash+"\n" {
			s.Errorf("register -: got %q, %s, want %s", a.out, a.err, hash)
		}
		var registered manifestRow
		s.json(&registered, "manifest", "register", path)
		if registered.Hash.String() != hash || registered.Kind != "dataset" || registered.CreatedAt.IsZero() {
			s.Errorf("register --json: got %+v", registered)
		}
		content := s.ok("manifest", "show", hash)
		if !strings.HasPrefix(content, `{"kind":"dataset","note":"one"`) {
			s.Errorf("show: got %s, want the canonical bytes", content)
		}
		var shown struct {
			Hash    string
			Content struct{ Note string }
		}
		s.json(&shown, "manifest", "show", strings.ToUpper(hash))
		if shown.Hash != hash || shown.Content.Note != "one" {
			s.Errorf("show --json: got %+v", shown)
		}
		linked := s.register("two")
		for flag, want := range map[string][]string{"": {hash, linked}, "--orphans": {hash}} {
			args := []string{"manifest", "list"}
			if flag != "" {
				args = append(args, flag)
			}
			var rows []manifestRow
			s.json(&rows, args...)
			var got []string
			for _, r := range rows {
				got = append(got, r.Hash.String())
			}
			if diff := cmp.Diff(want, got); diff != "" || !strings.Contains(s.ok(args...), want[0]) {
				s.Errorf("list %s (-want +got):\n%s", flag, diff)
			}
		}
		s.fails(4, []string{"linked to shop/sales"}, "manifest", "delete", linked)
		s.ok("manifest", "delete", hash)
		s.ok("manifest", "delete", hash)
		s.fails(3, []string{"is not registered"}, "manifest", "show", hash)
	})
}

func TestManifest_Refused(t *testing.T) {
	s := newShell(t)
	s.fails(1, []string{"bad.json: tables.orders", "schema"}, "manifest", "register", s.write("bad.json", []byte(`{"kind":"dataset","tables":{"orders":{"kind":"parquet"}}}`)))
	s.fails(1, []string{"twice"}, "manifest", "register", s.write("twice.json", []byte(`{"kind":"dataset","kind":"dataset","tables":{}}`)))
	s.fails(3, []string{"none.json"}, "manifest", "register", "none.json")
	s.fails(2, []string{"64 hexadecimal digits", "manifest show --help"}, "manifest", "show", "abc")
	if rows := s.ok("manifest", "list", "--json"); rows != "[]" {
		s.Errorf("refused manifests left %s", rows)
	}
}

func TestDataset(t *testing.T) {
	each(t, func(s *shell) {
		if got := s.ok("dataset", "list", "--json"); got != "[]" {
			s.Errorf("no dataset: got %s, want []", got)
		}
		one, two := s.register("one"), s.register("two")
		var all []struct{ Namespace, Name string }
		s.json(&all, "dataset", "list")
		if len(all) != 1 || all[0].Namespace != "shop" || all[0].Name != "sales" || !strings.Contains(s.ok("dataset", "list"), "shop/sales") {
			s.Errorf("list: got %v", all)
		}
		s.ok("tag", "set", "shop/sales", "1.0.0", one)
		var shown struct {
			Manifests []struct{ Hash string }
			Tags      []tagRow
		}
		s.json(&shown, "dataset", "show", "shop/sales")
		if len(shown.Manifests) != 2 || shown.Manifests[1].Hash != two || len(shown.Tags) != 3 {
			s.Errorf("show: got %+v", shown)
		}
		if text := s.ok("dataset", "show", "shop/sales"); !strings.Contains(text, one) || !strings.Contains(text, "1.0.0, latest") {
			s.Errorf("show: got %s", text)
		}
		s.ok("dataset", "unlink", "shop/sales", one)
		s.ok("dataset", "unlink", "shop/sales", one)
		s.fails(3, []string{"no semantic version", "shop/sales@dev", "annexfs tag set"}, "resolve", "shop/sales")
		s.ok("dataset", "unlink", "shop/sales", two)
		s.fails(3, []string{"there is no dataset shop/sales"}, "dataset", "show", "shop/sales")
		s.fails(3, []string{"not registered"}, "dataset", "link", "shop/sales", strings.Repeat("a", 64))
		s.fails(2, []string{"Sales"}, "dataset", "link", "shop/Sales", one)
		s.fails(2, []string{"namespace/name"}, "dataset", "show", "sales")
	})
}

// TestDataset_LinkNames holds that linking says which tables had files under the manifest before.
func TestDataset_LinkNames(t *testing.T) {
	s := newShell(t)
	s.register("one")
	s.ok("add", "shop/sales/orders", s.orders("1.parquet", 1))
	hash := s.ok("manifest", "register", s.write("two.json", []byte(manifestText("two"))))
	a := s.run("dataset", "link", "shop/sales", hash)
	if a.status != 0 || !strings.Contains(a.err, "was @dev before: orders") {
		s.Errorf("link: status %d, %q; want it to name orders alone", a.status, a.err)
	}
	s.ok("dataset", "link", "shop/sales", s.ok("manifest", "register", s.write("x.json", []byte(`{"kind":"dataset","tables":{}}`))))
	var linked struct {
		Same []string `json:"same_tables"`
	}
	s.json(&linked, "dataset", "link", "shop/sales", hash)
	if len(linked.Same) != 0 {
		s.Errorf("link after a manifest without tables: got %v, want none", linked.Same)
	}
	if a := s.run("dataset", "link", "shop/sales", hash, "--quiet"); a.err != "" || a.out != "" {
		s.Errorf("--quiet: got %q and %q, want silence", a.out, a.err)
	}
}

func TestTag(t *testing.T) {
	each(t, func(s *shell) {
		one, two := s.register("one"), s.register("two")
		s.fails(3, []string{"no semantic version", "@dev"}, "resolve", "shop/sales")
		if got := s.ok("resolve", "shop/sales@dev"); got != two {
			s.Errorf("resolve @dev: got %s, want %s", got, two)
		}
		s.ok("tag", "set", "shop/sales", "1.10.0")
		s.ok("tag", "set", "shop/sales", "1.9.0", one)
		s.ok("tag", "set", "shop/sales", "1.2.0-rc.1", "1.9.0")
		s.fails(4, []string{two, "--force"}, "tag", "set", "shop/sales", "1.10.0", one)
		var set struct {
			Moved string `json:"moved_from"`
			Hash  string
		}
		s.json(&set, "tag", "set", "shop/sales", "1.10.0", one, "--force")
		if set.Hash != one || set.Moved != two {
			s.Errorf("set --force: got %+v", set)
		}
		var tags []tagRow
		s.json(&tags, "tag", "list", "shop/sales")
		var names []string
		for _, r := range tags {
			names = append(names, r.Version)
		}
		if diff := cmp.Diff([]string{"1.2.0-rc.1", "1.9.0", "1.10.0", "dev", "latest"}, names); diff != "" {
			s.Errorf("list (-want +got):\n%s", diff)
		}
		if text := s.ok("tag", "list", "shop/sales"); !strings.Contains(text, "latest (1.10.0)") {
			s.Errorf("list: got %s", text)
		}
		s.ok("tag", "delete", "shop/sales", "1.10.0")
		s.ok("tag", "delete", "shop/sales", "1.10.0")
		var resolved struct{ Version, Hash string }
		s.json(&resolved, "resolve", "pkg:annexfs/shop/sales@1.9.0")
		if resolved.Version != "1.9.0" || resolved.Hash != one || s.ok("resolve", "shop/sales") != one {
			s.Errorf("resolve: got %+v", resolved)
		}
		s.fails(3, []string{"no version 3.0.0"}, "resolve", "shop/sales@3.0.0")
		s.fails(3, []string{"no dataset shop/none"}, "resolve", "shop/none")
		s.fails(3, []string{"not linked"}, "tag", "set", "shop/sales", "2.0.0", strings.Repeat("b", 64))
	})
}

func TestTag_Usage(t *testing.T) {
	s := newShell(t)
	s.register("one")
	s.fails(2, []string{"follows the tags and links by itself"}, "tag", "set", "shop/sales", "latest")
	s.fails(2, []string{"follows"}, "tag", "delete", "shop/sales", "dev")
	s.fails(2, []string{"MAJOR.MINOR.PATCH"}, "tag", "set", "shop/sales", "v1.0.0")
	s.fails(2, []string{"not to latest"}, "tag", "set", "shop/sales", "1.0.0", "latest")
	s.fails(2, []string{"latest, dev"}, "resolve", "shop/sales@1.0")
}
