// Package metadbtest gives tests real metadata databases: SQLite files, and databases of a private PostgreSQL server
// that lives as long as the test binary.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { metadbtest.Main(m) }
package metadbtest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/annexfs/annexfs/internal/metadb"
)

// NoPostgres is the environment variable that, when it is "1", leaves out tests on PostgreSQL. Without it they fail where
// there is no PostgreSQL.
const NoPostgres = "ANNEXFS_TEST_NO_POSTGRES"

// private is the server of this test binary: state of the package, because testing gives TestMain no way to hand
// anything to tests.
var private server

// Main runs the tests and then stops and removes the private PostgreSQL server, which the first test that asks for a
// database starts. The server ends too when the test binary is killed.
func Main(m *testing.M) {
	private.allowed = true
	m.Run() // the exit status is testing's to set
	if err := private.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "metadbtest: stop PostgreSQL:", err)
	}
}

// Each runs fn as the subtests "sqlite" and "postgres", with the URL of a fresh database that is migrated.
func Each(t *testing.T, fn func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { fn(t, Postgres(t)) })
}

// EachEmpty is as [Each], with a database that was never migrated: a SQLite file that does not exist yet, a PostgreSQL
// database without tables.
func EachEmpty(t *testing.T, fn func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, emptySQLite(t)) })
	t.Run("postgres", func(t *testing.T) { fn(t, private.database(t, "template0")) })
}

// SQLite is the URL of a fresh migrated SQLite database.
func SQLite(t *testing.T) string {
	t.Helper()
	url := emptySQLite(t)
	if _, _, err := metadb.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	return url
}

func emptySQLite(t *testing.T) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "annexfs.db")
}

// Postgres is the URL of a fresh migrated database of the private server. It is dropped when t ends.
func Postgres(t *testing.T) string {
	t.Helper()
	return private.database(t, template)
}

// RestartPostgres stops the private server as a crash would and starts it again; every connection is lost.
func RestartPostgres(t *testing.T) {
	t.Helper()
	if err := private.restart(); err != nil {
		t.Fatal(err)
	}
}

// template is the migrated database that others are copied from.
const template = "annexfs_template"

// server is a PostgreSQL server that is started when it is first needed.
type server struct {
	allowed bool // Main runs, so somebody will stop it

	mu      sync.Mutex // guards what follows, and lets one database be created at a time
	process *process
	admin   *sql.DB
	err     error // from the one attempt to start
	count   int
}

// database makes a database from a template. It ends the test where there is no server.
func (s *server) database(t *testing.T, template string) string {
	t.Helper()
	if os.Getenv(NoPostgres) == "1" {
		fmt.Fprintf(os.Stderr, "NOT RUN HERE: %s (%s=1)\n", t.Name(), NoPostgres)
		t.Skipf("NOT RUN HERE: %s=1", NoPostgres)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil && s.err == nil {
		s.err = s.start()
	}
	if s.err != nil {
		t.Fatalf("private PostgreSQL: %v\n(set %s=1 to leave its tests out)", s.err, NoPostgres)
	}
	s.count++
	name := fmt.Sprintf("test_%d", s.count)
	if _, err := s.admin.ExecContext(t.Context(), "create database "+name+" template "+template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := s.admin.Exec("drop database " + name + " with (force)"); err != nil {
			t.Error(err)
		}
	})
	return s.url(name)
}

func (s *server) start() error {
	if !s.allowed {
		return fmt.Errorf("this test binary has no TestMain that calls metadbtest.Main")
	}
	err := s.run(quick)
	if err != nil {
		return err
	}
	if _, err := s.admin.Exec("create database " + template); err != nil {
		return err
	}
	_, _, err = metadb.Migrate(context.Background(), s.url(template))
	return err
}

func (s *server) run(settings string) (err error) {
	if s.process, err = startProcess(settings); err != nil {
		return err
	}
	// The driver is the one that metadb registers.
	s.admin, err = sql.Open("pgx", s.url("postgres"))
	return err
}

func (s *server) url(database string) string {
	q := url.Values{"host": {s.process.dir}, "port": {port}, "sslmode": {"disable"}}
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database, RawQuery: q.Encode()}
	return u.String()
}

func (s *server) restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process.restart()
}

func (s *server) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil
	}
	if s.admin != nil {
		_ = s.admin.Close() // its server is about to go
	}
	return s.process.stop()
}
