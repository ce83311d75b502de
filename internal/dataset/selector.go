package dataset

import "strings"

type selectorKind uint8

const (
	selectNone selectorKind = iota
	selectLatest
	selectDev
	selectHash
	selectVersion
)

// Selector is what follows '@' in a reference: it chooses one manifest of a dataset. The zero Selector says that none
// was given; what that means is the caller's to say ([Reference.Or]).
type Selector struct {
	kind    selectorKind
	version Version
	hash    Hash
}

var (
	// Latest selects the highest semantic version.
	Latest = Selector{kind: selectLatest}

	// Dev selects the manifest that was linked last.
	Dev = Selector{kind: selectDev}
)

// SelectVersion selects the manifest that a semantic version denotes.
func SelectVersion(v Version) Selector { return Selector{kind: selectVersion, version: v} }

// SelectHash selects the manifest of this hash.
func SelectHash(h Hash) Selector { return Selector{kind: selectHash, hash: h} }

// ParseSelector reads "latest", "dev", 64 hexadecimal digits of either case, or a semantic version, tried in this order.
func ParseSelector(s string) (Selector, error) {
	switch s {
	case "latest":
		return Latest, nil
	case "dev":
		return Dev, nil
	}
	if h, err := ParseHash(s); err == nil {
		return SelectHash(h), nil
	}
	v, err := ParseVersion(s)
	if err != nil {
		reason := strings.TrimSuffix(err.(*SyntaxError).Reason, versionForm) //nolint:errorlint,forcetypeassert // ParseVersion returns no other
		return Selector{}, &SyntaxError{"version", s, reason + "allowed are latest, dev, the 64 hexadecimal digits of a manifest's hash, and semantic versions; " + versionForm}
	}
	return SelectVersion(v), nil
}

// IsZero tells whether none was given.
func (s Selector) IsZero() bool { return s.kind == selectNone }

// IsLatest tells whether s is Latest.
func (s Selector) IsLatest() bool { return s.kind == selectLatest }

// IsDev tells whether s is Dev.
func (s Selector) IsDev() bool { return s.kind == selectDev }

// Version is the semantic version that s names, if it names one.
func (s Selector) Version() (Version, bool) { return s.version, s.kind == selectVersion }

// Hash is the hash that s names, if it names one.
func (s Selector) Hash() (Hash, bool) { return s.hash, s.kind == selectHash }

// String is the form that ParseSelector reads, with a hash in lower case. That of the zero Selector is empty.
func (s Selector) String() string {
	switch s.kind {
	case selectLatest:
		return "latest"
	case selectDev:
		return "dev"
	case selectHash:
		return s.hash.String()
	case selectVersion:
		return s.version.String()
	}
	return ""
}
