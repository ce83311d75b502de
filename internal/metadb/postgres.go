package metadb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// postgresServer is a database of a PostgreSQL server.
type postgresServer struct{ config *pgx.ConnConfig }

const (
	// channel carries the numbers of transactions that recorded changes.
	channel = "annexfs"
	// postgresPoll is how often a follower asks, should a notification not come.
	postgresPoll = 2 * time.Second
	// postgresPace is how long after it has asked it asks again at the earliest.
	postgresPace = 20 * time.Millisecond
	// postgresWriters bounds the connections that write: their commits take turns anyway.
	postgresWriters = 8
)

func parsePostgres(url string) (target, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		var file *fs.PathError // a certificate, say
		if errors.As(err, &file) {
			return nil, invalidURL(file.Error())
		}
		// pgx redacts the password where it can find it, which is not everywhere.
		return nil, invalidURL("it is not as PostgreSQL has it")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	return postgresServer{config}, nil
}

func (postgresServer) dialect() Dialect { return Postgres }

func (p postgresServer) String() string {
	return fmt.Sprintf("postgres://%s@%s:%d/%s", p.config.User, p.config.Host, p.config.Port, p.config.Database)
}

// check: the server itself says when something is missing.
func (postgresServer) check(role) error { return nil }

func (p postgresServer) open(r role) (*sql.DB, error) {
	conns := 1
	switch r {
	case reader:
		conns = poolSize()
	case writer:
		conns = postgresWriters
	}
	db := stdlib.OpenDB(*p.session(r))
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return db, nil
}

// session is the configuration of a connection in role r.
func (p postgresServer) session(r role) *pgx.ConnConfig {
	config := p.config.Copy()
	params := maps.Clone(config.RuntimeParams)
	if params["application_name"] == "" {
		params["application_name"] = "annexfs"
	}
	if r == reader {
		params["default_transaction_read_only"] = "on"
	}
	config.RuntimeParams = params
	return config
}

// listen waits for notifications, all of which that came since the last wait count as one.
func (p postgresServer) listen(ctx context.Context) (*listener, error) {
	config := p.session(reader)
	notified := false
	var asked time.Time
	config.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) { notified = true }
	l := &listener{db: stdlib.OpenDB(*config)}
	var err error
	if l.conn, err = l.db.Conn(ctx); err != nil {
		l.close()
		return nil, err
	}
	l.wait = func(ctx context.Context) (bool, error) {
		err := withPgx(l.conn, func(conn *pgx.Conn) error {
			if notified {
				return nil
			}
			ctx, cancel := context.WithTimeout(ctx, postgresPoll)
			defer cancel()
			err := conn.PgConn().WaitForNotification(ctx)
			if ctx.Err() == context.DeadlineExceeded && !conn.IsClosed() {
				return nil // nothing came: time to ask
			}
			return err
		})
		if pause := postgresPace - time.Since(asked); err == nil && pause > 0 {
			err = sleep(ctx, pause)
		}
		notified, asked = false, time.Now()
		return true, err
	}
	if _, err := l.conn.ExecContext(ctx, "listen "+channel); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// withPgx lends fn the pgx connection behind conn.
func withPgx(conn *sql.Conn, fn func(*pgx.Conn) error) error {
	return conn.Raw(func(c any) error {
		std, ok := c.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("a connection of type %T is not pgx's: %w", c, fs.ErrInvalid)
		}
		return fn(std.Conn())
	})
}
