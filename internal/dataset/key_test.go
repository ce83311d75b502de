package dataset_test

import (
	"crypto/sha256"
	"math"
	"strings"
	"testing"

	"github.com/annexfs/annexfs/internal/dataset"
)

const helloKey = "SHA256E-s5--" + helloDigits

func TestKey_HashDir(t *testing.T) {
	k, err := dataset.ParseKey(helloKey + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.HashDir(), "091/de9"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestParseKey(t *testing.T) {
	sum := sha256.Sum256([]byte("hello"))
	for s, want := range map[string]dataset.Key{
		helloKey:                     {Size: 5, Sum: sum},
		helloKey + ".txt":            {Size: 5, Sum: sum, Ext: ".txt"},
		helloKey + ".tar.gz":         {Size: 5, Sum: sum, Ext: ".tar.gz"},
		helloKey + ".parquet":        {Size: 5, Sum: sum, Ext: ".parquet"}, // annex.maxextensionlength=7 there
		helloKey + ".a.b.c":          {Size: 5, Sum: sum, Ext: ".a.b.c"},   // annex.maxextensions=3 there
		helloKey + ".é":              {Size: 5, Sum: sum, Ext: ".é"},
		"SHA256E-s0--" + helloDigits: {Size: 0, Sum: sum},
		"SHA256E-s9223372036854775807--" + helloDigits: {Size: math.MaxInt64, Sum: sum},
		helloKey + "." + strings.Repeat("x", 255-77):   {Size: 5, Sum: sum, Ext: "." + strings.Repeat("x", 255-77)},
	} {
		got, err := dataset.ParseKey(s)
		if got != want || err != nil {
			t.Errorf("%s: got %+v, %v, want %+v", s, got, err, want)
		}
		if got.String() != s {
			t.Errorf("got %s, want %s", got, s)
		}
	}
}

func TestParseKey_Refused(t *testing.T) {
	for s, reason := range map[string]string{
		"":                          "scheme",
		"SHA256-s5--" + helloDigits: "scheme",
		"MD5E-s5--5d41402abc4b2a76b9719d911017c592.txt": "scheme",
		"sha256e-s5--" + helloDigits:                    "scheme",
		"URL--http&c%%example.com%a":                    "scheme",
		"WORM-s5-m1388448000--a":                        "scheme",
		"XSHA256E-s5--" + helloDigits:                   "scheme",
		"SHA256E--" + helloDigits:                       "no size",
		"SHA256E-s5-" + helloDigits:                     "no size",
		"SHA256E-5--" + helloDigits:                     "no size",
		"SHA256E-s--" + helloDigits:                     "is no size",
		"SHA256E-s05--" + helloDigits:                   "is no size",
		"SHA256E-s+5--" + helloDigits:                   "is no size",
		"SHA256E-s-5--" + helloDigits:                   "is no size",
		"SHA256E-s5-m1--" + helloDigits:                 "is no size",
		"SHA256E-s5-S3-C1--" + helloDigits:              "is no size", // a chunk of a key is no file
		"SHA256E-s9223372036854775808--" + helloDigits:  "is no size",
		"SHA256E-s5--" + helloDigits[1:]:                "no SHA-256",
		"SHA256E-s5--" + helloDigits + "0":              "no SHA-256",
		"SHA256E-s5--" + strings.ToUpper(helloDigits):   "no SHA-256",
		"SHA256E-s5--" + helloDigits[1:] + "g":          "no SHA-256",
		"SHA256E-s5--":                                  "no SHA-256",
		helloKey + ".":                                  "no extension",
		helloKey + "..txt":                              "no extension",
		helloKey + ".txt.":                              "no extension",
		helloKey + ".t_t":                               "no extension",
		helloKey + ".a/b":                               "no extension",
		helloKey + ".\xff":                              "no extension",
		helloKey + "." + strings.Repeat("x", 255-76):    "more than 255 bytes",
	} {
		_, err := dataset.ParseKey(s)
		refused(t, err, "file key", s, reason, "SHA256E-s<size>--")
	}
}

// extensions are what git-annex 10.20230126 (Debian 12) made of these names: `git annex calckey --backend=SHA256E`.
var extensions = map[string]string{
	"":                     "",
	"noname":               "",
	"a.txt":                ".txt",
	"photo.JPEG":           ".JPEG",
	"x.PDF":                ".PDF",
	"a.tar.gz":             ".tar.gz",
	"a.webm.part":          ".webm.part",
	"a.b.c.d":              ".c.d",
	"v1.2.3":               ".2.3",
	"x.1.2345.6":           ".2345.6",
	"x.verylongext":        "", // the last part is too long: no more are looked at
	"a.parquet":            "",
	"x.tar.parquet":        "",
	"a.txt.abcde":          "",
	"x.parquet.gz":         ".gz",
	"a.abcde.txt":          ".txt",
	".bashrc":              "",
	".env":                 "", // leading dots are no extension
	".a.txt":               ".txt",
	"..x.gz":               ".gz",
	".tar.gz":              ".gz",
	".x.y.z":               ".y.z",
	"...":                  "",
	" .txt":                ".txt",
	"name.with spaces.txt": ".txt",
	"a.t t.gz":             ".gz",
	"x.":                   "",
	"x.gz.":                ".gz", // an empty part counts as one of the two
	"a.tar.gz.":            ".gz",
	"a.txt.":               ".txt",
	"a.txt..":              "",
	"x..gz":                ".gz",
	"a.b..c":               ".c",
	"a.x y":                "", // other than letters and digits: passed over
	"a.c++":                "",
	"a.~1~":                "",
	"a.-.b":                ".b",
	"a.b-c.d":              ".d",
	"a.b.c.-.-.-":          ".b.c",
	"a.a-.b-.c.d":          ".c.d",
	"é.txt":                ".txt",
	"a.é":                  ".é", // the limit is in bytes
	"a.éé":                 ".éé",
	"a.ééé":                "",
	"a.日":                  ".日",
	"a.日本":                 "",
	"a.b.日":                ".b.日",
	"a.日本語.gz":             ".gz",
	"a.½":                  ".½",
	"dir.d/file":           "",
	"dir.d/.a.b":           ".b",
}

func TestExtension(t *testing.T) {
	for name, want := range extensions {
		if got := dataset.Extension(name, dataset.DefaultExtensionLength); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	for _, test := range []struct {
		name   string
		maxLen int
		want   string
	}{
		{"a.parquet", 7, ".parquet"}, // with annex.maxextensionlength=7
		{"x.snappy.parquet", 7, ".snappy.parquet"},
		{"a.txt", 2, ""},
		{"a.txt", 0, ""},
		{"a.txt", -1, ""},
		{"a." + strings.Repeat("x", 79), 1000, "." + strings.Repeat("x", 79)},
		{"a." + strings.Repeat("x", 80), 1000, ""},
		{"a.\xff", 4, ""}, // git-annex keeps these bytes; no database does
	} {
		if got := dataset.Extension(test.name, test.maxLen); got != test.want {
			t.Errorf("%q, %d: got %q, want %q", test.name, test.maxLen, got, test.want)
		}
	}
}

func FuzzKey(f *testing.F) {
	f.Add(helloKey, int64(5))
	f.Add(helloKey+".tar.gz", int64(5))
	f.Add("SHA256E-s5-m1--"+helloDigits, int64(0))
	for name := range extensions {
		f.Add(name, int64(math.MaxInt64))
	}
	f.Fuzz(func(t *testing.T, s string, size int64) {
		if k, err := dataset.ParseKey(s); err == nil && k.String() != s {
			t.Errorf("got %s, want %s", k, s)
		}
		for _, maxLen := range []int{dataset.DefaultExtensionLength, dataset.MaxExtensionLength} {
			want := dataset.Key{Size: size & math.MaxInt64, Sum: sha256.Sum256([]byte(s)), Ext: dataset.Extension(s, maxLen)}
			if got, err := dataset.ParseKey(want.String()); got != want || err != nil {
				t.Errorf("name %q: got %+v, %v, want %+v", s, got, err, want)
			}
			if again := dataset.Extension("x"+want.Ext, maxLen); again != want.Ext {
				t.Errorf("name %q: got the extension %q of %q", s, again, "x"+want.Ext)
			}
		}
	})
}
