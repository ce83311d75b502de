package harness

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
	"github.com/annexfs/annexfs/internal/objects/objectstest"
)

// Each runs fn as each user on each backend: the embedded default, and PostgreSQL with a real S3 server.
func Each(t *testing.T, fn func(t *testing.T, u User, b Backend)) {
	t.Helper()
	users := Users(t)
	t.Run("embedded", func(t *testing.T) {
		for _, u := range users {
			As(t, u.Name, u, func(t *testing.T) { fn(t, u, Backend{}) })
		}
	})
	t.Run("server", func(t *testing.T) {
		for _, u := range users {
			t.Run(u.Name, func(t *testing.T) {
				b := Servers(t)
				As(t, "run", u, func(t *testing.T) { fn(t, u, b) })
			})
		}
	})
}

// EachUser runs fn as each user on the embedded default.
func EachUser(t *testing.T, fn func(t *testing.T, u User)) {
	t.Helper()
	for _, u := range Users(t) {
		As(t, u.Name, u, func(t *testing.T) { fn(t, u) })
	}
}

// Servers starts an S3 server and makes a database on a PostgreSQL server, both of their own and both empty.
func Servers(t *testing.T) Backend {
	t.Helper()
	database := metadbtest.Postgres(t)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	// The directory of the server's socket is the server's user's alone, and its parent need not be ours to list.
	if os.Getuid() == 0 {
		if err := os.Chmod(u.Query().Get("host"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	bucket, env := objectstest.S3(t)
	return Backend{Name: "server", Database: database, Objects: bucket, Env: env}
}

// setenv sets a variable given as NAME=VALUE for this process, for what it opens by itself.
func setenv(t testing.TB, variable string) {
	t.Helper()
	name, value, _ := strings.Cut(variable, "=")
	if strings.HasPrefix(name, "AWS_") {
		t.Setenv(name, value)
	}
}
