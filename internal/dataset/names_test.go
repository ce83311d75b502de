package dataset_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/annexfs/annexfs/internal/dataset"
)

// long63 and long64 are the longest name and one byte more.
var long63, long64 = strings.Repeat("a", 63), strings.Repeat("a", 64)

// refused checks that an error is a *SyntaxError of this kind whose reason contains every one of these texts.
func refused(t *testing.T, err error, kind, value string, reasons ...string) {
	t.Helper()
	syntax, ok := errors.AsType[*dataset.SyntaxError](err)
	if !ok {
		t.Fatalf("%q: got error %v, want a *SyntaxError", value, err)
	}
	if !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("%q: the error is not fs.ErrInvalid", value)
	}
	if syntax.Kind != kind {
		t.Errorf("%q: got an error of the kind %q, want %q", value, syntax.Kind, kind)
	}
	for _, reason := range reasons {
		if !strings.Contains(syntax.Reason, reason) {
			t.Errorf("%q: got the reason %q, want one with %q", value, syntax.Reason, reason)
		}
	}
}

func TestParseNames(t *testing.T) {
	parsers := []struct {
		kind    string
		parse   func(string) (string, error)
		valid   []string
		invalid map[string]string // value to what the reason says
	}{
		{"namespace", func(s string) (string, error) { v, err := dataset.ParseNamespace(s); return string(v), err },
			[]string{"_", "a", "0", "edge-and-node", "a_b-c", "0-", "__", long63},
			map[string]string{"": "empty", "-a": `'-' at byte 0`, "A": `'A'`, "a.b": `'.'`, "a/b": `'/'`, "ä": `'ä'`, "a b": `' '`, "a@": `'@'`, long64: "64 bytes", "a\xff": "byte 1"}},
		{"dataset name", func(s string) (string, error) { v, err := dataset.ParseName(s); return string(v), err },
			[]string{"_", "tpch", "eth-mainnet", long63},
			map[string]string{"": "empty", "-": `'-'`, "Tpch": `'T'`, long64: "64 bytes", "x\x00": `'\x00'`}},
		{"table name", func(s string) (string, error) { v, err := dataset.ParseTableName(s); return string(v), err },
			[]string{"_", "A", "orders", "Order-Lines_2", "a-", long63},
			map[string]string{"": "empty", "1a": `'1'`, "-a": `'-'`, "a.b": `'.'`, ".revisions": `'.'`, "é": `'é'`, long64: "64 bytes"}},
	}
	for _, p := range parsers {
		t.Run(p.kind, func(t *testing.T) {
			for _, s := range p.valid {
				if got, err := p.parse(s); got != s || err != nil {
					t.Errorf("%q: got %q, %v", s, got, err)
				}
			}
			for s, reason := range p.invalid {
				_, err := p.parse(s)
				refused(t, err, p.kind, s, reason, "allowed are 1 to 63 of")
			}
		})
	}
}

func TestParseID(t *testing.T) {
	got, err := dataset.ParseID("edge/eth-mainnet")
	if want := (dataset.ID{Namespace: "edge", Name: "eth-mainnet"}); got != want || err != nil {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for s, kind := range map[string]string{"": "dataset", "a": "dataset", "/b": "namespace", "a/": "dataset name", "a/b/c": "dataset name", "A/b": "namespace"} {
		_, err := dataset.ParseID(s)
		refused(t, err, kind, s)
	}
}

func TestSyntaxError(t *testing.T) {
	_, err := dataset.ParseName("Orders")
	const want = `invalid dataset name "Orders": it has 'O' at byte 0; allowed are 1 to 63 of a-z, 0-9, '_' and, but not first, '-'`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	_, err = dataset.ParseName(strings.Repeat("x", 1e6))
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("a long value: got an error of %d bytes, want at most 300", len(err.Error()))
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"", "_", "a-b", "A", "1", long63, long64, "ns/name", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ns, nsErr := dataset.ParseNamespace(s)
		name, nameErr := dataset.ParseName(s)
		if (nsErr == nil) != (nameErr == nil) {
			t.Fatalf("%q: as a namespace %v, as a name %v", s, nsErr, nameErr)
		}
		if nsErr == nil && (string(ns) != s || string(name) != s) {
			t.Errorf("got %q and %q, want %q", ns, name, s)
		}
		if table, err := dataset.ParseTableName(s); err == nil && (string(table) != s || len(s) > 63) {
			t.Errorf("got table %q, want %q", table, s)
		}
		if id, err := dataset.ParseID(s); err == nil && id.String() != s {
			t.Errorf("got dataset %q, want %q", id, s)
		}
	})
}
