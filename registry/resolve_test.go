package registry_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/annexfs/annexfs/internal/dataset"
)

func TestRegistry_Resolve(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		a, b, c := e.link(t, flights, 1), e.link(t, flights, 2), e.link(t, flights, 3)
		other := e.link(t, dataset.ID{Namespace: "other", Name: "flights"}, 4)
		orphan := e.register(t, 5)
		plain := e.link(t, dataset.ID{Namespace: "_", Name: "flights"}, 6)
		e.tag(t, dataset.ID{Namespace: "_", Name: "flights"}, "1.0.0", plain)
		e.tag(t, flights, "1.0.0", a)
		e.tag(t, flights, "1.1.0-rc.1+x", b)
		for ref, want := range map[string]dataset.Hash{
			"aero/flights":                                b,
			"aero/flights@latest":                         b,
			"aero/flights@dev":                            c,
			"aero/flights@1.0.0":                          a,
			"aero/flights@1.1.0-rc.1+x":                   b,
			"aero/flights@" + c.String():                  c,
			"aero/flights@" + strings.ToUpper(a.String()): a,
			"pkg:annexfs/aero/flights@1.0.0":              a,
			"flights":                                     plain,
			"aero/flights@1.1.0-rc.1":                     {},
			"aero/flights@1.1.0":                          {},
			"aero/flights@2.0.0":                          {},
			"aero/flights@" + other.String():              {}, // linked, but to another dataset
			"aero/flights@" + orphan.String():             {},
			"aero/flights@" + strings.Repeat("0", 64):     {},
			"aero/trains":                                 {},
			"aero/trains@dev":                             {},
			"aero/trains@1.0.0":                           {},
			"sea/flights@" + a.String():                   {},
		} {
			parsed, err := dataset.ParseReference(ref)
			if err != nil {
				t.Fatal(err)
			}
			got, err := e.Resolve(t.Context(), parsed)
			if got != want || (err != nil) != want.IsZero() {
				t.Errorf("%s: got %s, %v, want %s", ref, got, err, want)
			}
			if want.IsZero() {
				wantError(t, err, fs.ErrNotExist)
			}
		}
	})
}

// The error of a latest that does not exist names both ways on; that of a dataset that does not exist names neither.
func TestRegistry_Resolve_NoLatest(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		resolve := func() string {
			_, err := e.Resolve(t.Context(), dataset.Reference{ID: flights})
			wantError(t, err, fs.ErrNotExist)
			if err == nil {
				return ""
			}
			return err.Error()
		}
		ways := []string{"aero/flights@dev", "tag set aero/flights"}
		for _, way := range ways {
			if got := resolve(); strings.Contains(got, way) || !strings.Contains(got, "no dataset aero/flights") {
				t.Errorf("there is no dataset: got %q", got)
			}
		}
		e.link(t, flights, 1)
		for _, way := range ways {
			if got := resolve(); !strings.Contains(got, way) {
				t.Errorf("there is no version: got %q, want it to name %q", got, way)
			}
		}
	})
}
