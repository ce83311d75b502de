package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Hash names a manifest: the SHA-256 of its canonical bytes. The zero Hash names none.
type Hash [sha256.Size]byte

// HashOf is the hash of these bytes.
func HashOf(data []byte) Hash { return sha256.Sum256(data) }

// ParseHash reads 64 hexadecimal digits of either case.
func ParseHash(s string) (Hash, error) {
	var h Hash
	const want = "a hash is 64 hexadecimal digits"
	if len(s) != hex.EncodedLen(len(h)) {
		return Hash{}, &SyntaxError{"hash", s, fmt.Sprintf("it has %d bytes; %s", len(s), want)}
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return Hash{}, &SyntaxError{"hash", s, want}
	}
	return h, nil
}

// String is 64 hexadecimal digits in lower case.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero tells whether h names no manifest.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText is String, so that JSON has the digits and not a list of numbers.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText is ParseHash.
func (h *Hash) UnmarshalText(text []byte) (err error) {
	*h, err = ParseHash(string(text))
	return err
}
