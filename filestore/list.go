package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/durable"
)

// List yields every file of the store, by hash directory and then by key, reading a directory when it gets there.
// Names that are no key of ours, or not in their place, are not the store's and are passed over. Files that come or
// go meanwhile may be yielded or not. An error ends the listing.
func (s *Store) List(ctx context.Context) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		s.walk(ctx, "", yield)
	}
}

// walk yields the files below a directory, and is false when yield wants no more.
func (s *Store) walk(ctx context.Context, dir string, yield func(Info, error) bool) bool {
	names, err := s.ListDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		return yield(Info{}, err) && false
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return yield(Info{}, err) && false
		}
		var more bool
		if depth(dir) < 2 {
			more = s.walk(ctx, path.Join(dir, name), yield)
		} else {
			more = s.yieldKey(name, yield)
		}
		if !more {
			return false
		}
	}
	return true
}

func (s *Store) yieldKey(name string, yield func(Info, error) bool) bool {
	key, err := dataset.ParseKey(name)
	if err != nil {
		return true
	}
	info, err := s.Stat(key)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	return yield(info, err) && err == nil
}

// ListDir lists one directory of the layout, sorted: "" holds the first three digits, "091" the next three, and
// "091/de9" keys. Another directory, or one that is not there, is fs.ErrNotExist.
func (s *Store) ListDir(dir string) ([]string, error) {
	if !isHashDir(dir) {
		return nil, fmt.Errorf("list %q: %w", dir, fs.ErrNotExist)
	}
	entries, err := os.ReadDir(s.tree.Path(dir))
	if err != nil {
		return nil, fmt.Errorf("list %q: %w", dir, err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if depth(dir) < 2 && e.IsDir() && isHashPart(e.Name()) || depth(dir) == 2 && isKeyIn(dir, e) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func isKeyIn(dir string, e fs.DirEntry) bool {
	if !e.Type().IsRegular() || durable.IsTemp(e.Name()) {
		return false
	}
	key, err := dataset.ParseKey(e.Name())
	return err == nil && key.HashDir() == dir && key.String() == e.Name()
}

// depth counts the parts of a directory's name.
func depth(dir string) int {
	if dir == "" {
		return 0
	}
	return 1 + strings.Count(dir, "/")
}

func isHashDir(dir string) bool {
	if dir == "" {
		return true
	}
	first, second, two := strings.Cut(dir, "/")
	return isHashPart(first) && (!two || isHashPart(second))
}

// isHashPart reports whether a name is three lower-case hexadecimal digits.
func isHashPart(name string) bool {
	return len(name) == 3 && strings.Trim(name, "0123456789abcdef") == ""
}
