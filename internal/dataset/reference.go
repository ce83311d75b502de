package dataset

import "strings"

const referenceForm = "a reference is namespace/name@version, where @version and namespace/ may be left out"

// Reference names a dataset and, if its Selector is not zero, one of its manifests.
type Reference struct {
	ID       ID
	Selector Selector
}

// ParseReference reads "namespace/name@version". Without a namespace it is "_", without a version the Selector is zero.
// The package URLs "pkg:annexfs/…" and "pkg:amp/…" are read too; in these the version's '+' may be written "%2B", as
// package URLs have it.
func ParseReference(s string) (Reference, error) {
	rest, isURL := cutScheme(s)
	path, version, hasVersion := strings.Cut(rest, "@")
	ns, name, hasNamespace := strings.Cut(path, "/")
	if !hasNamespace {
		ns, name = string(DefaultNamespace), path
	}
	switch {
	case rest == "":
		return Reference{}, &SyntaxError{"reference", s, "it names no dataset; " + referenceForm}
	case strings.HasPrefix(rest, "pkg:"):
		return Reference{}, &SyntaxError{"reference", s, "of package URLs only pkg:annexfs/ and pkg:amp/ are known; " + referenceForm}
	case isURL && strings.ContainsAny(rest, "?#"):
		return Reference{}, &SyntaxError{"reference", s, "qualifiers and subpaths have no meaning here; " + referenceForm}
	}
	id, err := parseID(ns, name)
	if err != nil || !hasVersion {
		return Reference{id, Selector{}}, err
	}
	if isURL {
		version = strings.NewReplacer("%2B", "+", "%2b", "+").Replace(version)
	}
	selector, err := ParseSelector(version)
	if err != nil {
		return Reference{}, err
	}
	return Reference{id, selector}, nil
}

// Or is r with this Selector if r has none.
func (r Reference) Or(s Selector) Reference {
	if r.Selector.IsZero() {
		r.Selector = s
	}
	return r
}

// String is "namespace/name@version"; a reference without a version means @latest, and is written so.
func (r Reference) String() string {
	return r.ID.String() + "@" + r.Or(Latest).Selector.String()
}

func cutScheme(s string) (rest string, isURL bool) {
	for _, scheme := range []string{"pkg:annexfs/", "pkg:amp/"} {
		if rest, found := strings.CutPrefix(s, scheme); found {
			return rest, true
		}
	}
	return s, false
}
