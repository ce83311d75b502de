package dataset_test

import (
	"strings"
	"testing"

	"github.com/annexfs/annexfs/internal/dataset"
)

var (
	hello   = dataset.HashOf([]byte("hello"))
	version = dataset.Version{Major: 1, Minor: 2, Patch: 3, Pre: "rc.1", Build: "a"}
)

func TestParseSelector(t *testing.T) {
	for s, want := range map[string]dataset.Selector{
		"latest":                     dataset.Latest,
		"dev":                        dataset.Dev,
		helloDigits:                  dataset.SelectHash(hello),
		strings.ToUpper(helloDigits): dataset.SelectHash(hello),
		"1.2.3-rc.1+a":               dataset.SelectVersion(version),
	} {
		got, err := dataset.ParseSelector(s)
		if got != want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", s, got, err, want)
		}
		if back := got.String(); !strings.EqualFold(back, s) || back != strings.ToLower(back) {
			t.Errorf("got %s, want %s", back, strings.ToLower(s))
		}
	}
	for _, s := range []string{"", "Latest", "DEV", "v1.0.0", "1.0", "01.0.0", "1.0.0-01", "18446744073709551616.0.0", helloDigits[1:], helloDigits + "0", strings.Repeat("g", 64), "active"} {
		_, err := dataset.ParseSelector(s)
		refused(t, err, "version", s, "latest, dev, the 64 hexadecimal digits", "MAJOR.MINOR.PATCH")
	}
}

func TestSelector(t *testing.T) {
	type answers struct {
		zero, latest, dev, version, hash bool
		text                             string
	}
	for _, test := range []struct {
		selector dataset.Selector
		want     answers
	}{
		{dataset.Selector{}, answers{zero: true}},
		{dataset.Latest, answers{latest: true, text: "latest"}},
		{dataset.Dev, answers{dev: true, text: "dev"}},
		{dataset.SelectVersion(version), answers{version: true, text: "1.2.3-rc.1+a"}},
		{dataset.SelectHash(hello), answers{hash: true, text: helloDigits}},
	} {
		s := test.selector
		v, isVersion := s.Version()
		h, isHash := s.Hash()
		got := answers{s.IsZero(), s.IsLatest(), s.IsDev(), isVersion, isHash, s.String()}
		if got != test.want {
			t.Errorf("%s: got %+v, want %+v", s, got, test.want)
		}
		if isVersion && v != version || isHash && h != hello {
			t.Errorf("%s: got version %s, hash %s", s, v, h)
		}
	}
}

func TestParseReference(t *testing.T) {
	ref := func(ns, name string, s dataset.Selector) dataset.Reference {
		return dataset.Reference{ID: dataset.ID{Namespace: dataset.Namespace(ns), Name: dataset.Name(name)}, Selector: s}
	}
	plain := dataset.SelectVersion(dataset.Version{Major: 1})
	for _, test := range []struct {
		text   string
		want   dataset.Reference
		string string
	}{
		{"ns/name", ref("ns", "name", dataset.Selector{}), "ns/name@latest"},
		{"name", ref("_", "name", dataset.Selector{}), "_/name@latest"},
		{"_/name", ref("_", "name", dataset.Selector{}), "_/name@latest"},
		{"name@1.0.0", ref("_", "name", plain), "_/name@1.0.0"},
		{"ns/name@latest", ref("ns", "name", dataset.Latest), "ns/name@latest"},
		{"ns/name@dev", ref("ns", "name", dataset.Dev), "ns/name@dev"},
		{"ns/name@1.2.3-rc.1+a", ref("ns", "name", dataset.SelectVersion(version)), "ns/name@1.2.3-rc.1+a"},
		{"ns/name@" + strings.ToUpper(helloDigits), ref("ns", "name", dataset.SelectHash(hello)), "ns/name@" + helloDigits},
		{"pkg:annexfs/ns/name@1.0.0", ref("ns", "name", plain), "ns/name@1.0.0"},
		{"pkg:amp/ns/name@1.0.0", ref("ns", "name", plain), "ns/name@1.0.0"},
		{"pkg:amp/name", ref("_", "name", dataset.Selector{}), "_/name@latest"},
		{"pkg:annexfs/ns/name@1.2.3-rc.1%2Ba", ref("ns", "name", dataset.SelectVersion(version)), "ns/name@1.2.3-rc.1+a"},
		{"pkg:annexfs/ns/name@1.2.3-rc.1+a", ref("ns", "name", dataset.SelectVersion(version)), "ns/name@1.2.3-rc.1+a"},
	} {
		got, err := dataset.ParseReference(test.text)
		if got != test.want || err != nil {
			t.Errorf("%s: got %+v, %v, want %+v", test.text, got, err, test.want)
		}
		if got.String() != test.string {
			t.Errorf("%s: got %s, want %s", test.text, got, test.string)
		}
	}
}

func TestParseReference_Refused(t *testing.T) {
	for s, kind := range map[string]string{
		"": "reference", "pkg:annexfs/": "reference", "pkg:npm/ns/name": "reference", "pkg:ns/name": "reference", "pkg:amp/ns/name?a=b": "reference", "pkg:amp/ns/name#x": "reference",
		"/name": "namespace", "NS/name": "namespace", "ns/": "dataset name", "ns/name/table": "dataset name", "@1.0.0": "dataset name", "PKG:amp/name": "namespace",
		"ns/name@": "version", "ns/name@v1.0.0": "version", "ns/name@1.0": "version", "ns/name@1.0.0@2.0.0": "version", "ns/name@1.0.0/t": "version",
		"ns/name@1.2.3%2Ba": "version", "pkg:amp/ns/name@1.2.3%zz": "version",
	} {
		_, err := dataset.ParseReference(s)
		var value string
		if kind == "reference" {
			value = "namespace/name@version"
		}
		refused(t, err, kind, s, value)
	}
}

func TestReference_Or(t *testing.T) {
	ref, _ := dataset.ParseReference("ns/name")
	if got := ref.Or(dataset.Dev).Selector; got != dataset.Dev {
		t.Errorf("got %s, want dev", got)
	}
	if got := ref.Or(dataset.Dev).Or(dataset.Latest).Selector; got != dataset.Dev {
		t.Errorf("got %s, want dev", got)
	}
}

func TestParseTableRef(t *testing.T) {
	for s, want := range map[string]string{
		"ns/name/orders":               "ns/name@latest/orders",
		"ns/name@dev/Orders":           "ns/name@dev/Orders",
		"name@1.2.3+a/orders":          "_/name@1.2.3+a/orders",
		"pkg:amp/ns/name@1.0.0/orders": "ns/name@1.0.0/orders",
		"_/name/orders":                "_/name@latest/orders",
	} {
		got, err := dataset.ParseTableRef(s)
		if got.String() != want || err != nil {
			t.Errorf("%s: got %s, %v, want %s", s, got, err, want)
		}
	}
	for s, kind := range map[string]string{
		"": "table", "ns": "table", "ns/name": "table", "ns/name@1.0.0": "table", "ns/name/": "table", "ns/name/orders/": "table", "ns/name/orders/a.parquet": "table",
		"name@1.0.0/": "table", "ns/name/.revisions": "table name", "ns/name/1": "table name", "ns/name@x/orders": "version", "NS/name/orders": "namespace", "//orders": "namespace", "ns//orders": "dataset name",
	} {
		_, err := dataset.ParseTableRef(s)
		refused(t, err, kind, s)
	}
}

func TestParseFileRef(t *testing.T) {
	for s, want := range map[string][2]string{
		"ns/name/orders/a.parquet":              {"ns/name@latest/orders", "a.parquet"},
		"ns/name@dev/images/2024/été/a b@c.jpg": {"ns/name@dev/images", "2024/été/a b@c.jpg"},
		"name@1.0.0/images/.hidden":             {"_/name@1.0.0/images", ".hidden"},
	} {
		table, path, err := dataset.ParseFileRef(s)
		if got := [2]string{table.String(), path}; got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", s, got, err, want)
		}
	}
	for s, kind := range map[string]string{
		"": "file", "ns/name": "file", "ns/name/orders": "file", "ns/name/orders/": "file", "ns/name/orders/a//b": "file", "ns/name/orders/../b": "file", "ns/name/orders/.": "file",
		"ns/name/orders/a/": "file", "ns/name/orders//a": "file", "ns/name/orders/\xff": "file", "ns/name/orders/a\x00": "file", "ns/name/1/a": "table name", "Ns/name/orders/a": "namespace",
	} {
		_, _, err := dataset.ParseFileRef(s)
		refused(t, err, kind, s)
	}
}

func FuzzReference(f *testing.F) {
	for _, s := range []string{"", "name", "ns/name", "ns/name@latest", "ns/name@1.2.3-a+b", "pkg:amp/ns/name@dev", "ns/name@" + helloDigits, "pkg:annexfs/n@1.0.0%2Bb", "n@1.0.0/t/a/b", "ns/name/t", "a/b@c/d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if sel, err := dataset.ParseSelector(s); err == nil {
			if back, err := dataset.ParseSelector(sel.String()); back != sel || err != nil {
				t.Errorf("selector %q: got %s, %v", s, back, err)
			}
		}
		if ref, err := dataset.ParseReference(s); err == nil {
			if back, err := dataset.ParseReference(ref.String()); back != ref.Or(dataset.Latest) || err != nil {
				t.Errorf("reference %q: got %s, %v", s, back, err)
			}
		}
		if table, err := dataset.ParseTableRef(s); err == nil {
			want := dataset.TableRef{Reference: table.Reference.Or(dataset.Latest), Table: table.Table}
			if back, err := dataset.ParseTableRef(table.String()); back != want || err != nil {
				t.Errorf("table %q: got %s, %v", s, back, err)
			}
		}
		if table, path, err := dataset.ParseFileRef(s); err == nil {
			if !strings.HasSuffix(s, string(table.Table)+"/"+path) {
				t.Errorf("file %q: got %s and %s", s, table, path)
			}
			if _, back, err := dataset.ParseFileRef(table.String() + "/" + path); back != path || err != nil {
				t.Errorf("file %q: got %s, %v", s, back, err)
			}
		}
	})
}
