package objects

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/annexfs/annexfs/internal/durable"
)

const (
	maxKey  = 1024 // S3's limit
	maxPart = 255  // a file name's limit
	allowed = `a key is 1 to 1024 bytes of A-Z a-z 0-9 - _ . = + @ between single slashes, no part longer than 255 ` +
		`or "." or ".."`
)

// checkKey says fs.ErrInvalid of a key that not every store takes as it is.
func checkKey(key string) error {
	if len(key) > maxKey {
		return fmt.Errorf("%w: %d bytes: %s", fs.ErrInvalid, len(key), allowed)
	}
	for part := range strings.SplitSeq(key, "/") {
		switch {
		case part == "" || part == "." || part == ".." || len(part) > maxPart || strings.ContainsFunc(part, unsafe):
			return fmt.Errorf("%w: bad part %q: %s", fs.ErrInvalid, part, allowed)
		case durable.IsTemp(part):
			return fmt.Errorf("%w: %q is a name of unfinished files", fs.ErrInvalid, part)
		}
	}
	return nil
}

// checkList is checkKey for a prefix, which may end anywhere in a key.
func checkList(prefix, delimiter string) error {
	if delimiter != "" && delimiter != "/" {
		return fmt.Errorf(`%w: delimiter %q: want "" or "/"`, fs.ErrInvalid, delimiter)
	}
	dir, _ := splitKey(prefix)
	if dir == "" && !strings.HasPrefix(prefix, "/") {
		return nil
	}
	return checkKey(dir)
}

// splitKey cuts a key behind its last slash: "a/b/c" is "a/b" and "c".
func splitKey(key string) (dir, base string) {
	if i := strings.LastIndexByte(key, '/'); i >= 0 {
		return key[:i], key[i+1:]
	}
	return "", key
}

func unsafe(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("-_.=+@", r)
}
