package objects

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/annexfs/annexfs/internal/durable"
)

// list walks the directories that may hold keys with that prefix. One directory's names are in memory at a time,
// and those of its parents.
func (l *local) list(ctx context.Context, prefix, delimiter string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		dir, base := splitKey(prefix)
		if dir != "" {
			dir += "/"
		}
		l.walk(ctx, dir, base, delimiter != "", yield)
	}
}

// walk yields what lies in dir, a key prefix that is empty or ends in a slash, under names that begin with base. It
// is false when yield wants no more.
func (l *local) walk(ctx context.Context, dir, base string, flat bool, yield func(Info, error) bool) bool {
	names, err := l.children(dir)
	if err != nil {
		return yield(Info{}, err) && false
	}
	for _, name := range names {
		if !strings.HasPrefix(name, base) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return yield(Info{}, err) && false
		}
		more := true
		switch isDir := strings.HasSuffix(name, "/"); {
		case isDir && flat && l.holdsObject(ctx, dir+name):
			more = yield(Info{Key: dir + name, Dir: true}, nil)
		case isDir && !flat:
			more = l.walk(ctx, dir+name, "", false, yield)
		case !isDir:
			more = l.yieldFile(dir+name, yield)
		}
		if !more {
			return false
		}
	}
	return true
}

func (l *local) yieldFile(key string, yield func(Info, error) bool) bool {
	info, err := os.Lstat(l.tree.Path(key))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true // removed since the directory was read
	case err != nil:
		return yield(Info{}, err) && false
	}
	return yield(localInfo(key, info), nil)
}

// children lists the regular files and the directories, these with a slash behind, in the order of their keys.
func (l *local) children(dir string) ([]string, error) {
	entries, err := os.ReadDir(l.tree.Path(dir))
	if err = missing(err); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		switch {
		case durable.IsTemp(e.Name()):
		case e.IsDir():
			names = append(names, e.Name()+"/")
		case e.Type().IsRegular():
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// holdsObject tells a directory that is a prefix of keys from one that a crash or a Delete left empty.
func (l *local) holdsObject(ctx context.Context, dir string) (found bool) {
	l.walk(ctx, dir, "", false, func(Info, error) bool {
		found = true // an error too: then the caller who looks inside hears of it
		return false
	})
	return found
}

// Leftovers yields the unfinished files that killed processes have left in a directory, as far as they were last written
// to before that time; a bucket has none that can be listed. See durable.Tree.Leftovers.
func (s *Store) Leftovers(before time.Time) iter.Seq2[durable.Leftover, error] {
	l, ok := s.driver.(*local)
	if !ok {
		return func(func(durable.Leftover, error) bool) {}
	}
	return l.tree.Leftovers("", true, before)
}
