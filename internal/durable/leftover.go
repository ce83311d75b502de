package durable

import (
	"errors"
	"io/fs"
	"iter"
	"path/filepath"
	"time"
)

// Leftover is an unfinished file that nobody has written to for long.
type Leftover struct {
	Path    string // for this machine
	Size    int64
	ModTime time.Time
}

// Leftovers yields the unfinished files in the directory of that slash-separated name, "" being the root, that were last
// written to before that time, and with deep those in all directories below it. What is gone when it is looked at is no
// leftover, nor is a directory that is not there. An error ends the listing. It removes nothing.
func (t *Tree) Leftovers(dir string, deep bool, before time.Time) iter.Seq2[Leftover, error] {
	return func(yield func(Leftover, error) bool) {
		root := t.Path(dir)
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			if e.IsDir() {
				if path != root && !deep {
					return filepath.SkipDir
				}
				return nil
			}
			if !IsTemp(e.Name()) || !e.Type().IsRegular() {
				return nil
			}
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && info.ModTime().Before(before) && !yield(Leftover{path, info.Size(), info.ModTime()}, nil) {
				return filepath.SkipAll
			}
			return err
		})
		if err != nil {
			yield(Leftover{}, err)
		}
	}
}
