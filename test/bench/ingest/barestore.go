package main

import (
	"crypto/md5" // the git-annex layout's directories are named by it
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver that annexfs has, too
)

// bareStore does with each file the least that is left of a dataset's promises, behind the answer to its close: it is
// stored under a name that its hash makes, in two directories like those of git-annex, and a row in SQLite says which file
// it is. Rows are committed together for as long as annexfs does.
type bareStore struct {
	dir  string
	db   *sql.DB
	come chan bareFile
	done chan error
}

type bareFile struct {
	parent uint64
	name   string
	sum    [sha256.Size]byte
	data   []byte
}

const (
	commitEvery = 20 * time.Millisecond
	backlog     = 64 // files, after which a close has to wait
)

func newBareStore(dir string) (*bareStore, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "rows.db")+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)")
	if err != nil {
		return nil, err
	}
	if _, err := db.Exec(`CREATE TABLE files (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, name TEXT NOT NULL,
		size INTEGER NOT NULL, key TEXT NOT NULL, UNIQUE (parent, name))`); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s := &bareStore{dir: dir, db: db, come: make(chan bareFile, backlog), done: make(chan error, 1)}
	go s.run()
	return s, nil
}

// close returns when everything is committed.
func (s *bareStore) close() error {
	close(s.come)
	return errors.Join(<-s.done, s.db.Close())
}

func (s *bareStore) run() {
	for f := range s.come {
		if err := s.transact(f); err != nil {
			fmt.Fprintln(os.Stderr, "storing:", err)
			s.done <- err
			for range s.come { // nobody is to wait
			}
			return
		}
	}
	s.done <- nil
}

// transact stores a file, and those that come until it is time to commit.
func (s *bareStore) transact(f bareFile) error {
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing once it is committed
	insert, err := tx.Prepare("INSERT INTO files (parent, name, size, key) VALUES (?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	soon := time.After(commitEvery)
	for ok := true; ok; {
		key, err := s.store(f)
		if err != nil {
			return err
		}
		if _, err := insert.Exec(int64(f.parent), f.name, len(f.data), key); err != nil {
			return err
		}
		select {
		case f, ok = <-s.come:
		case <-soon:
			ok = false
		}
	}
	return tx.Commit()
}

func (s *bareStore) store(f bareFile) (key string, err error) {
	key = fmt.Sprintf("SHA256E-s%d--%x%s", len(f.data), f.sum, filepath.Ext(f.name))
	of := md5.Sum([]byte(key))
	dir := filepath.Join(s.dir, hex.EncodeToString(of[:])[:3], hex.EncodeToString(of[:])[3:6])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return key, os.WriteFile(filepath.Join(dir, key), f.data, 0o444)
}
