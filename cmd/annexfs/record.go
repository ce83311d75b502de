package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/internal/fault"
)

// mountRow describes a mount: what a daemon writes into its record, and what --json shows.
type mountRow struct {
	Mountpoint string          `json:"mountpoint"`
	PID        int             `json:"pid"`
	StartedAt  *time.Time      `json:"started_at,omitempty"`
	Log        string          `json:"log"`
	State      string          `json:"state,omitempty"`
	Status     json.RawMessage `json:"status,omitempty"`
}

// record is the file in which a daemon describes its mount, and which it has locked for as long as it lives. The file is
// emptied and not removed at the end, so that a lock always holds what the name names.
type record struct {
	file *os.File
}

// recordName is the same for the same mount point.
func recordName(point string) string {
	sum := sha256.Sum256([]byte(point))
	return fmt.Sprintf("%s-%x", filepath.Base(point), sum[:4])
}

// holdRecord locks and writes the record; fault.ErrConflict where another daemon has it.
func holdRecord(dir, point string) (*record, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	name := recordName(point)
	f, err := os.OpenFile(filepath.Join(dir, name+".json"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			err = fmt.Errorf("%w: this repository is mounted on %s already; 'annexfs umount %s' frees it", fault.ErrConflict, point, point)
		}
		return nil, errors.Join(err, f.Close())
	}
	now := time.Now().UTC()
	data, err := json.Marshal(mountRow{Mountpoint: point, PID: os.Getpid(), StartedAt: &now, Log: filepath.Join(dir, name+".log")})
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(append(data, '\n'), 0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &record{f}, nil
}

// release says that the mount is gone.
func (r *record) release() error { return errors.Join(r.file.Truncate(0), r.file.Close()) }

// readRecords returns the mounts of a repository: those that are served, and those whose daemon died.
func readRecords(dir string) ([]mountRow, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	rows := []mountRow{}
	for _, name := range names {
		row, ok, err := readRecord(name)
		if err != nil {
			return nil, err
		}
		if ok {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func readRecord(name string) (row mountRow, ok bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return mountRow{}, false, err
	}
	defer f.Close()
	if json.NewDecoder(f).Decode(&row) != nil {
		return mountRow{}, false, nil // empty, or being written
	}
	lock := unix.Flock_t{Type: unix.F_RDLCK} // which we only ask for, so that we are in nobody's way
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock); err != nil {
		return mountRow{}, false, err
	}
	row.State = stateRunning
	if lock.Type == unix.F_UNLCK {
		row.State = stateDead
	}
	return row, true, nil
}

// forget empties the record of a mount whose daemon died.
func forget(dir, point string) error {
	name := filepath.Join(dir, recordName(point)+".json")
	row, ok, err := readRecord(name)
	if errors.Is(err, os.ErrNotExist) || err == nil && (!ok || row.State != stateDead) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Truncate(name, 0)
}

// The states of a mount.
const (
	stateRunning = "running"
	stateSilent  = "not responding"
	stateDead    = "dead"
)
