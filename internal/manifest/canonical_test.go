package manifest_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/annexfs/annexfs/internal/manifest"
)

// TestCanonical_RFC8785 has the samples of the RFC's sections 3.2.2 and 3.2.3.
func TestCanonical_RFC8785(t *testing.T) {
	for input, want := range map[string]string{
		`{
		  "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
		  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
		  "literals": [null, true, false]
		}`: `{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
		`{
		  "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
		  "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"
		}`: `{"\r":"Carriage Return","1":"One","` + "\u0080" + `":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign","😀":"Emoji: Grinning Face","` + "\ufb33" + `":"Hebrew Letter Dalet With Dagesh"}`,
	} {
		checkCanonical(t, input, want)
	}
}

// TestCanonical_Numbers has the samples of the RFC's appendix B, by their bits.
func TestCanonical_Numbers(t *testing.T) {
	for bits, want := range map[uint64]string{
		0x0000000000000000: "0",
		0x8000000000000000: "0",
		0x0000000000000001: "5e-324",
		0x8000000000000001: "-5e-324",
		0x7fefffffffffffff: "1.7976931348623157e+308",
		0xffefffffffffffff: "-1.7976931348623157e+308",
		0x4340000000000000: "9007199254740992",
		0xc340000000000000: "-9007199254740992",
		0x4430000000000000: "295147905179352830000",
		0x44b52d02c7e14af5: "9.999999999999997e+22",
		0x44b52d02c7e14af6: "1e+23",
		0x44b52d02c7e14af7: "1.0000000000000001e+23",
		0x444b1ae4d6e2ef4e: "999999999999999700000",
		0x444b1ae4d6e2ef4f: "999999999999999900000",
		0x444b1ae4d6e2ef50: "1e+21",
		0x3eb0c6f7a0b5ed8c: "9.999999999999997e-7",
		0x3eb0c6f7a0b5ed8d: "0.000001",
		0x41b3de4355555553: "333333333.3333332",
		0x41b3de4355555554: "333333333.33333325",
		0x41b3de4355555555: "333333333.3333333",
		0x41b3de4355555556: "333333333.3333334",
		0x41b3de4355555557: "333333333.33333343",
		0xbecbf647612f3696: "-0.0000033333333333333333",
		0x43143ff3c1cb0959: "1424953923781206.2",
	} {
		checkCanonical(t, strconv.FormatFloat(math.Float64frombits(bits), 'e', 20, 64), want)
	}
}

func TestCanonical_Kept(t *testing.T) {
	for input, want := range map[string]string{
		" [ ] \n":                            "[]",
		"-0":                                 "0",
		"-0.0e-999":                          "0",
		"1.0":                                "1",
		"9007199254740994":                   "9007199254740994", // beyond 2^53, and a double holds it
		"295147905179352825856":              "295147905179352830000",
		"0.1":                                "0.1",
		"0.30000000000000000001":             "0.3", // a fraction is rounded
		`"\u00e9\/\ud83d\ude00\u007f\u0000"`: `"é/😀` + "\x7f" + `\u0000"`,
		`{"b":{"d":1,"c":2},"a":[{"z":1,"y":2}]}`: `{"a":[{"y":2,"z":1}],"b":{"c":2,"d":1}}`,
	} {
		checkCanonical(t, input, want)
	}
}

func TestCanonical_Refused(t *testing.T) {
	for _, test := range []struct{ input, path, reason string }{
		{`{"a":1,"a":1}`, "a", "twice"},
		{`{"a":1,"\u0061":2}`, "a", "twice"},
		{`{"tables":{"t":{},"x":1,"t":{}}}`, "tables.t", "twice"},
		{`[{"a b":{"c":1,"c":1}}]`, `[0]["a b"].c`, "twice"},
		{"{\"a\":\"\xff\"}", "", "UTF-8"},
		{"{\"a\":[\"x\",\"\xed\xa0\x80\"]}", "", "UTF-8"},
		{`["\ud800"]`, "", "surrogate"},
		{`["\udc00\ud800"]`, "", "surrogate"},
		{`{"\ud83dx":1}`, "", "surrogate"},
		{`{"a":[0,1e309]}`, "a[1]", "range of a double"},
		{`-1e309`, "", "range of a double"},
		{`{"a":1e-400}`, "a", "too small"},
		{`{"a":{"b":9007199254740993}}`, "a.b", "no double holds"},
		{`-9007199254740993`, "", "no double holds"},
		{`18446744073709551615`, "", "no double holds"},
		{`1` + strings.Repeat("0", 400), "", "range of a double"},
		{``, "", "ends in the middle"},
		{`{"a":`, "a", "ends in the middle"},
		{`{}{}`, "", "byte 2"},
		{`{"a":1,}`, "", "not JSON"},
		{`[01]`, "", "not JSON"},
		{`[NaN]`, "", "not JSON"},
		{`{'a':1}`, "", "not JSON"},
		{"\ufeff{}", "", "not JSON"},
		{"[\"\n\"]", "", "not JSON"},
		{`{"a":1 /* x */}`, "", "not JSON"},
		{strings.Repeat("[", 1e5), "", "not JSON"},
	} {
		_, err := manifest.Canonical([]byte(test.input))
		field, ok := errors.AsType[*manifest.FieldError](err)
		if !ok || !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%.40q: got error %v, want a *FieldError", test.input, err)
			continue
		}
		if !strings.HasPrefix(field.Path, test.path) || !strings.Contains(field.Reason, test.reason) {
			t.Errorf("%.40q: got %q and %q, want %q and %q", test.input, field.Path, field.Reason, test.path, test.reason)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{`{"b":[1e30,"\u20ac"],"a":{"c":null}}`, `[295147905179352825856,-0,5e-324,0.1]`, `{"a":1,"a":2}`, `"\ud83d\ude00"`, `1e999`, "\xff", `9007199254740993`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		form, err := manifest.Canonical(data)
		if !bytes.Equal(data, before) {
			t.Fatalf("%q was changed to %q", before, data)
		}
		if err != nil {
			if !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%q: got %v, want fs.ErrInvalid", data, err)
			}
			return
		}
		if again, err := manifest.Canonical(form); !bytes.Equal(again, form) || err != nil {
			t.Errorf("%q: got %q, and of that %q, %v", data, form, again, err)
		}
	})
}

// checkCanonical checks the canonical form of a text, and that it is its own.
func checkCanonical(t *testing.T, input, want string) {
	t.Helper()
	for _, text := range []string{input, want} {
		if got, err := manifest.Canonical([]byte(text)); string(got) != want || err != nil {
			t.Errorf("%s\ngot  %s, %v\nwant %s", text, got, err, want)
		}
	}
}
