package dataset_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/internal/dataset"
)

// ascending are versions in their total order.
var ascending = []string{
	"0.0.0-0", "0.0.0", "0.0.1-alpha", "0.0.1", "0.1.0", "0.2.0", "0.10.0",
	"1.0.0--", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.1.0", "1.0.0-alpha.2", "1.0.0-alpha.10",
	"1.0.0-alpha.99999999999999999999999", "1.0.0-alpha.100000000000000000000000", "1.0.0-alpha.-", "1.0.0-alpha.beta",
	"1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0-rc.1+z",
	"1.0.0", "1.0.0+0", "1.0.0+00", "1.0.0+01", "1.0.0+1", "1.0.0+1.0", "1.0.0+2", "1.0.0+010", "1.0.0+10", "1.0.0+-", "1.0.0+A", "1.0.0+a", "1.0.0+a.1", "1.0.0+a.b", "1.0.0+b",
	"1.0.1-0", "1.0.1", "2.0.0", "10.0.0", "18446744073709551615.0.0",
}

func TestVersion_Compare(t *testing.T) {
	for i, a := range ascending {
		for j, b := range ascending {
			got := sign(parseVersion(t, a).Compare(parseVersion(t, b)))
			if want := sign(i - j); got != want {
				t.Errorf("%s to %s: got %d, want %d", a, b, got, want)
			}
		}
	}
}

// TestVersion_Compare_TotalOrder holds for arbitrary versions what makes an order total.
func TestVersion_Compare_TotalOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	versions := make([]dataset.Version, 120)
	for i := range versions {
		versions[i] = parseVersion(t, randomVersion(rnd))
	}
	for _, a := range versions {
		for _, b := range versions {
			ab := a.Compare(b)
			if (ab == 0) != (a == b) || sign(ab) != -sign(b.Compare(a)) {
				t.Fatalf("%s and %s: got %d and %d", a, b, ab, b.Compare(a))
			}
			for _, c := range versions {
				if ab < 0 && b.Compare(c) < 0 && a.Compare(c) >= 0 {
					t.Fatalf("%s < %s < %s, but the first is not below the last", a, b, c)
				}
			}
		}
	}
}

func TestParseVersion(t *testing.T) {
	got := parseVersion(t, "1.20.300-rc.1-x.0+linux.007")
	want := dataset.Version{Major: 1, Minor: 20, Patch: 300, Pre: "rc.1-x.0", Build: "linux.007"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want(-), got(+):\n%s", diff)
	}
	for _, s := range ascending {
		if got := parseVersion(t, s).String(); got != s {
			t.Errorf("got %s, want %s", got, s)
		}
	}
	for s, reason := range map[string]string{
		"": "empty", "v1.0.0": `begins with 'v'`, "1.0": "three parts", "1": "three parts", "1.0.0.0": "three parts", "01.0.0": "leading zero",
		"1.00.0": "leading zero", "1.0.0-01": "leading zero", "1.0.0-a.00": "leading zero", "1.0.0-": "empty part", "1.0.0+": "empty part",
		"1.0.0-a..b": "empty part", "1.0.0+a.": "empty part", "1.0.0-a_b": "other than letters", "1.0.0+a+b": "other than letters",
		"1.0.0-ü": "other than letters", "1.0.0 ": "not a number", " 1.0.0": "not a number", "-1.0.0": "three parts", "1.-1.0": "three parts",
		"18446744073709551616.0.0": "beyond 64 bits", "1.0.99999999999999999999": "beyond 64 bits", "1.0.x": "not a number", "1..0": "not a number",
		"latest": "three parts", "1.0.0+" + strings.Repeat("a", 186): "more than 191 bytes",
	} {
		_, err := dataset.ParseVersion(s)
		refused(t, err, "version", s, reason, "MAJOR.MINOR.PATCH")
	}
	if _, err := dataset.ParseVersion("1.0.0+" + strings.Repeat("a", 185)); err != nil {
		t.Errorf("191 bytes: %v", err)
	}
}

// FuzzVersion takes Masterminds/semver as the judge of what both accept.
func FuzzVersion(f *testing.F) {
	for i, s := range ascending {
		f.Add(s, ascending[(i*7+3)%len(ascending)])
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		f.Add(randomVersion(rnd), randomVersion(rnd))
	}
	f.Fuzz(func(t *testing.T, s, o string) {
		v, err := dataset.ParseVersion(s)
		judged, judgeErr := semver.StrictNewVersion(s)
		if err != nil {
			if judgeErr == nil && len(s) <= 191 {
				t.Fatalf("%q: got %v, but semver takes it", s, err)
			}
			return
		}
		if v.String() != s {
			t.Fatalf("got %s, want %s", v, s)
		}
		if judgeErr != nil {
			t.Fatalf("%q: got no error, semver's is %v", s, judgeErr)
		}
		w, err := dataset.ParseVersion(o)
		if err != nil {
			return
		}
		got := v.Compare(w)
		if (got == 0) != (s == o) || sign(got) != -sign(w.Compare(v)) {
			t.Errorf("%s to %s: got %d, and back %d", v, w, got, w.Compare(v))
		}
		if beyond64Bits.MatchString(s + " " + o) {
			return // the judge compares such pre-release numbers as text
		}
		if want := judged.Compare(semver.MustParse(o)); want != 0 && sign(got) != want {
			t.Errorf("%s to %s: got %d, want %d", v, w, got, want)
		}
		if judged.Equal(semver.MustParse(o)) && v.Build == w.Build && got != 0 {
			t.Errorf("%s to %s: got %d, want 0", v, w, got)
		}
	})
}

var beyond64Bits = regexp.MustCompile(`[0-9]{20}`)

func parseVersion(t *testing.T, s string) dataset.Version {
	t.Helper()
	v, err := dataset.ParseVersion(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// randomVersion has small parts, so that many pairs differ late or not at all.
func randomVersion(rnd *rand.Rand) string {
	pick := func(from ...string) string { return from[rnd.IntN(len(from))] }
	s := pick("0", "1", "2", "10") + "." + pick("0", "1") + "." + pick("0", "1")
	if rnd.IntN(2) == 0 {
		s += "-" + pick("0", "1", "9", "10", "a", "A", "-", "a1", "1a") + pick("", ".0", ".1", ".10", ".a")
	}
	if rnd.IntN(2) == 0 {
		s += "+" + pick("0", "00", "1", "01", "a", "A", "-", "10") + pick("", ".0", ".01", ".1", ".a")
	}
	return s
}

func sign(n int) int {
	return min(max(n, -1), 1)
}
