package dataset

import (
	"crypto/md5" //nolint:gosec // git-annex's directory layout is defined by it; nothing is protected by it
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// maxKey is the greatest length of a key in bytes: it is a file name.
const maxKey = 255

const keyForm = "a key is SHA256E-s<size>--<64 hexadecimal digits in lower case>, and an extension where the file had one"

// Key names a file of the file store by its content: git-annex's SHA256E key. The same content with two extensions has
// two keys.
type Key struct {
	Size int64             // of the content, in bytes
	Sum  [sha256.Size]byte // SHA-256 of the content
	Ext  string            // with its leading dot, as [Extension] made it, or ""
}

// ParseKey reads a SHA256E key. A key of another scheme is refused: its bytes have another meaning.
func ParseKey(s string) (Key, error) {
	refuse := func(format string, args ...any) (Key, error) {
		return Key{}, &SyntaxError{"file key", s, fmt.Sprintf(format, args...) + "; " + keyForm}
	}
	scheme, rest, found := strings.Cut(s, "-")
	switch {
	case len(s) > maxKey:
		return refuse("it has more than %d bytes", maxKey)
	case !found || scheme != "SHA256E":
		return refuse("%q is not the scheme SHA256E", scheme)
	}
	fields, name, found := strings.Cut(rest, "--")
	digits, hasSize := strings.CutPrefix(fields, "s")
	if !found || !hasSize {
		return refuse("it has no size")
	}
	size, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || strconv.FormatInt(size, 10) != digits || size < 0 {
		return refuse("%q is no size", digits)
	}
	sum, ext := name, ""
	if i := strings.IndexByte(name, '.'); i >= 0 {
		sum, ext = name[:i], name[i:]
	}
	k := Key{Size: size, Ext: ext}
	if n, err := hex.Decode(k.Sum[:], []byte(sum[:min(len(sum), 2*len(k.Sum))])); err != nil || n != len(k.Sum) || sum != hex.EncodeToString(k.Sum[:]) {
		return refuse("%q is no SHA-256", sum)
	}
	if !validExtension(ext) {
		return refuse("%q is no extension, which has after each dot letters and digits", ext)
	}
	return k, nil
}

// String is the key as git-annex writes it.
func (k Key) String() string {
	return fmt.Sprintf("SHA256E-s%d--%x%s", k.Size, k.Sum, k.Ext)
}

// HashDir is the directory of the key in a file store, git-annex's lower-case layout: the first three and the next three
// hexadecimal digits of the key's MD5, as in "091/de9".
func (k Key) HashDir() string {
	sum := md5.Sum([]byte(k.String())) //nolint:gosec // see the import
	digits := hex.EncodeToString(sum[:3])
	return digits[:3] + "/" + digits[3:]
}

func validExtension(ext string) bool {
	if ext == "" {
		return true
	}
	for part := range strings.SplitSeq(ext[1:], ".") {
		if part == "" || !validExtensionPart(part) {
			return false
		}
	}
	return true
}
