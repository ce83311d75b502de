package dataset

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// maxVersion is the greatest length of a semantic version in bytes. "name@version" is one file name in staging, and a
// file name has at most 255 bytes.
const maxVersion = 255 - maxName - len("@")

const versionForm = "a semantic version is MAJOR.MINOR.PATCH with numbers below 2^64 and no leading zeros, then -PRERELEASE and +BUILD if wanted, as in 1.2.3, 1.2.3-rc.1 or 1.2.3+linux"

// Version is a semantic version (semver.org 2.0.0). The zero Version is 0.0.0.
type Version struct {
	Major, Minor, Patch uint64
	Pre                 string // dot-separated identifiers after '-', or ""
	Build               string // dot-separated identifiers after '+', or ""
}

// ParseVersion reads a whole semantic version: neither "v1.0.0" nor "1.0" is one.
func ParseVersion(s string) (Version, error) {
	refuse := func(format string, args ...any) (Version, error) {
		return Version{}, &SyntaxError{"version", s, fmt.Sprintf(format, args...) + "; " + versionForm}
	}
	switch {
	case s == "":
		return refuse("it is empty")
	case len(s) > maxVersion:
		return refuse("it has more than %d bytes", maxVersion)
	case s[0] == 'v' || s[0] == 'V':
		return refuse("it begins with %q", s[0])
	}
	rest, build, hasBuild := strings.Cut(s, "+")
	core, pre, hasPre := strings.Cut(rest, "-")
	numbers := strings.Split(core, ".")
	if len(numbers) != 3 {
		return refuse("%q has not three parts", core)
	}
	v := Version{Pre: pre, Build: build}
	for i, field := range []*uint64{&v.Major, &v.Minor, &v.Patch} {
		n, reason := parseNumber(numbers[i])
		if reason != "" {
			return refuse("%s", reason)
		}
		*field = n
	}
	if hasPre {
		if reason := checkIdentifiers("pre-release", pre, true); reason != "" {
			return refuse("%s", reason)
		}
	}
	if hasBuild {
		if reason := checkIdentifiers("build", build, false); reason != "" {
			return refuse("%s", reason)
		}
	}
	return v, nil
}

// String is the version as it was parsed.
func (v Version) String() string {
	s := fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
	if v.Pre != "" {
		s += "-" + v.Pre
	}
	if v.Build != "" {
		s += "+" + v.Build
	}
	return s
}

// Compare is negative, zero or positive as v comes before, is, or comes after o. It is a total order: semver's
// precedence, and between versions of equal precedence their build metadata compared as pre-release identifiers are,
// none being the lowest. Only equal versions compare as zero.
func (v Version) Compare(o Version) int {
	return cmp.Or(
		cmp.Compare(v.Major, o.Major),
		cmp.Compare(v.Minor, o.Minor),
		cmp.Compare(v.Patch, o.Patch),
		comparePre(v.Pre, o.Pre),
		compareBuild(v.Build, o.Build),
	)
}

func comparePre(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == "": // a release comes after its pre-releases
		return 1
	case b == "":
		return -1
	}
	return compareIdentifiers(a, b)
}

func compareBuild(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == "":
		return -1
	case b == "":
		return 1
	}
	// Build identifiers may have leading zeros: 1 and 01 are equal as numbers, and are two tags all the same.
	return cmp.Or(compareIdentifiers(a, b), strings.Compare(a, b))
}

func compareIdentifiers(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		if c := compareIdentifier(as[i], bs[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}

func compareIdentifier(a, b string) int {
	switch an, bn := isNumeric(a), isNumeric(b); {
	case an && bn: // of any length: they are compared as digits
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	case an:
		return -1
	case bn:
		return 1
	}
	return strings.Compare(a, b)
}

// parseNumber reads a number of the core, or tells what is wrong with it.
func parseNumber(s string) (n uint64, reason string) {
	switch {
	case !isNumeric(s):
		return 0, fmt.Sprintf("%q is not a number", s)
	case len(s) > 1 && s[0] == '0':
		return 0, fmt.Sprintf("%q has a leading zero", s)
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Sprintf("%s is beyond 64 bits", s)
	}
	return n, ""
}

// checkIdentifiers tells what is wrong with dot-separated identifiers, "" if nothing is.
func checkIdentifiers(kind, s string, zerosMatter bool) (reason string) {
	for id := range strings.SplitSeq(s, ".") {
		if id == "" {
			return fmt.Sprintf("its %s %q has an empty part", kind, s)
		}
		for i := range len(id) {
			if c := id[i]; !isDigit(c) && !isLetter(c) && c != '-' {
				return fmt.Sprintf("its %s %q has other than letters, digits and '-'", kind, s)
			}
		}
		if zerosMatter && len(id) > 1 && id[0] == '0' && isNumeric(id) {
			return fmt.Sprintf("its %s has the number %q with a leading zero", kind, id)
		}
	}
	return ""
}

func isNumeric(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}
