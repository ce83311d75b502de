package metadb

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// target is a parsed URL: what differs between the two database systems, as long as no connection is needed for it.
type target interface {
	dialect() Dialect
	// check fails where connecting would create what is not to be created.
	check(role) error
	// open makes a pool; it connects when it is used.
	open(role) (*sql.DB, error)
	// listen opens a connection of its own for a follower.
	listen(context.Context) (*listener, error)
	// String is the URL without its secrets.
	String() string
}

// role of a pool of connections.
type role int

const (
	reader   role = iota // cannot write
	writer               // transactions that write
	migrator             // one connection, may create the database
)

// allowed tells what a database URL may be.
const allowed = `allowed are "sqlite:" and an absolute path (sqlite:/srv/data/annexfs.db), and ` +
	`"postgres://user@host:port/database"`

// parseURL never repeats what it could not parse: it may contain a password.
func parseURL(url string) (target, error) {
	scheme, rest, ok := strings.Cut(url, ":")
	if !ok {
		return nil, invalidURL("it has no scheme")
	}
	switch scheme {
	case "sqlite":
		return parseSQLite(rest)
	case "postgres", "postgresql":
		return parsePostgres(url)
	}
	return nil, invalidURL("its scheme is unknown")
}

func parseSQLite(path string) (target, error) {
	switch {
	case strings.ContainsAny(path, "?\x00"):
		return nil, invalidURL("a SQLite path has no settings after ? and no NUL")
	case !filepath.IsAbs(path):
		return nil, invalidURL("its path is not absolute")
	}
	return sqliteFile(filepath.Clean(path)), nil
}

func invalidURL(reason string) error {
	return fmt.Errorf("database URL: %s; %s: %w", reason, allowed, fs.ErrInvalid)
}
