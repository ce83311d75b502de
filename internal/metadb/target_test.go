package metadb_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/annexfs/annexfs/internal/metadb"
)

func TestParseURL(t *testing.T) {
	tests := []struct{ url, want string }{
		{"sqlite:/a/b.db", "sqlite:/a/b.db"},
		{"sqlite:///a/b.db", "sqlite:/a/b.db"},
		{"sqlite:/a/../b%20c#d.db", "sqlite:/b%20c#d.db"}, // a path, taken as it is
		{"postgres://me:sesame@host:5433/db", "postgres://me@host:5433/db"},
		{"postgresql://me@host:5433/db?sslmode=disable&password=sesame", "postgres://me@host:5433/db"},
		{"sqlite:a.db", ""},
		{"sqlite::memory:", ""},
		{"sqlite:", ""},
		{"sqlite:/a.db?mode=ro", ""},
		{"sqlite:/a\x00.db", ""},
		{"", ""},
		{"/a/b.db", ""},
		{"mysql://me:sesame@host/db", ""},
		{"host=x password=sesame", ""},
		{"me:sesame@host/db", ""},
		{"postgres://me:sesame@host:port/db", ""},
		{"postgres://me:ses ame@host/db?sslmode=sesame", ""},
		{"postgres://me:sesame%@host/db", ""},
	}
	for _, tt := range tests {
		got, err := metadb.ParseURL(tt.url)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q: got %q, %v; want %q", tt.url, got, err, tt.want)
		}
		if err != nil {
			checkURLError(t, tt.url, err)
		}
	}
}

func TestParseURL_MissingCertificate(t *testing.T) {
	_, err := metadb.ParseURL("postgres://me:sesame@host/db?sslmode=verify-full&sslrootcert=/nonexistent/ca.pem")
	if err == nil || !strings.Contains(err.Error(), "/nonexistent/ca.pem") {
		t.Fatalf("got %v, want an error that names the file", err)
	}
	checkURLError(t, "URL with a missing certificate", err)
}

func checkURLError(t *testing.T, url string, err error) {
	t.Helper()
	if !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "allowed are") {
		t.Errorf("%q: %v is not fs.ErrInvalid or does not say what is allowed", url, err)
	}
	if strings.Contains(err.Error(), "sesame") {
		t.Errorf("%q: the error tells the password: %v", url, err)
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{
		"sqlite:/a/b.db", "sqlite:a", "postgres://me:sesame@host:5433/db?sslmode=disable", "host=x password=sesame",
		"postgres://host/db?password=sesame", "postgres://:sesame@/", "sesame:y",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, url string) {
		got, err := metadb.ParseURL(url)
		if err != nil {
			checkURLError(t, url, err)
			return
		}
		if path, ok := strings.CutPrefix(got, "sqlite:"); ok {
			if again, err := metadb.ParseURL(got); again != got || err != nil || !strings.HasPrefix(path, "/") {
				t.Errorf("%q became %q, which is read as %q, %v", url, got, again, err)
			}
		}
	})
}
