package metadbtest

import (
	"context"
	"errors"
	"fmt"
)

// Durable is a private PostgreSQL server for benchmarks: with the settings that PostgreSQL has by itself, its commits
// survive a crash of the machine.
type Durable struct{ server server }

// StartDurable starts a server, which ends with this process at the latest.
func StartDurable() (*Durable, error) {
	d := &Durable{}
	if err := d.server.run(""); err != nil {
		return nil, errors.Join(fmt.Errorf("private PostgreSQL: %w", err), d.Stop())
	}
	return d, nil
}

// Database makes an empty database and returns its URL. It is for one goroutine at a time.
func (d *Durable) Database(ctx context.Context) (string, error) {
	d.server.count++
	name := fmt.Sprintf("bench_%d", d.server.count)
	if _, err := d.server.admin.ExecContext(ctx, "create database "+name); err != nil {
		return "", err
	}
	return d.server.url(name), nil
}

// Stop ends the server and removes its data.
func (d *Durable) Stop() error { return d.server.stop() }
