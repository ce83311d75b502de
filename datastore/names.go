package datastore

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/annexfs/annexfs/internal/dataset"
)

// What a file system, and PATH_MAX, can hold.
const (
	maxNameElement = 255
	maxNamePath    = 4000
)

// checkName is fs.ErrInvalid for a name that a file of such a table cannot have.
func checkName(name string, tree bool) error {
	if !tree {
		_, err := dataset.ParseFileName(name)
		return err
	}
	if name == "." || !fs.ValidPath(name) || strings.ContainsRune(name, 0) {
		return fmt.Errorf("%q is no path of UTF-8 names below a table: %w", name, fs.ErrInvalid)
	}
	if len(name) > maxNamePath {
		return fmt.Errorf("a path of %d bytes is longer than %d: %w", len(name), maxNamePath, fs.ErrInvalid)
	}
	for element := range strings.SplitSeq(name, "/") {
		if len(element) > maxNameElement {
			return fmt.Errorf("%q is longer than %d bytes: %w", element, maxNameElement, fs.ErrInvalid)
		}
	}
	return nil
}

// directories are all directories above the named files, none of which may be a file as well.
func directories(files map[string]int) ([]string, error) {
	seen := make(map[string]bool)
	var dirs []string
	for name := range files {
		for dir, _ := splitPath(name); dir != "" && !seen[dir]; dir, _ = splitPath(dir) {
			if _, ok := files[dir]; ok {
				return nil, fmt.Errorf("%s is both a file and a directory: %w", dir, fs.ErrExist)
			}
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs) // parents first
	return dirs, nil
}
