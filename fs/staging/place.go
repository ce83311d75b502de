package staging

import (
	"slices"
	"strings"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/manifest"
)

const (
	manifestName = "manifest.json"
	successName  = "_SUCCESS"
	replaceName  = "replace"
	appendName   = "append"
)

// Depths of the directories that have a meaning of their own.
const (
	depthNamespace = iota + 1
	depthDataset
	depthTable
)

// place is what a path below the root of staging means.
type place struct {
	depth   int
	name    string            // the last one
	dataset dataset.Reference // from depthDataset on
	table   dataset.TableRef  // of what lies in a table
	below   []string          // names below the table
}

// placeOf understands a path. A namespace or dataset that does not parse is an error, a table only where something lies
// in it: beside the tables there may be other files.
func placeOf(names []string) (place, error) {
	p := place{depth: len(names)}
	if p.depth > 0 {
		p.name = names[p.depth-1]
	}
	if p.depth >= depthNamespace {
		if _, err := dataset.ParseNamespace(names[0]); err != nil {
			return p, err
		}
	}
	if p.depth >= depthDataset {
		ref, err := datasetOf(names[0], names[1])
		if err != nil {
			return p, err
		}
		p.dataset = ref
	}
	if p.depth > depthTable {
		t, err := dataset.ParseTableName(names[2])
		if err != nil {
			return p, err
		}
		p.table = dataset.TableRef{Reference: p.dataset, Table: t}
		p.below = names[depthTable:]
	}
	return p, nil
}

// datasetOf reads the name of a dataset's directory, name or name@version.
func datasetOf(namespace, dir string) (dataset.Reference, error) {
	ns, err := dataset.ParseNamespace(namespace)
	if err != nil {
		return dataset.Reference{}, err
	}
	base, version, versioned := strings.Cut(dir, "@")
	name, err := dataset.ParseName(base)
	if err != nil {
		return dataset.Reference{}, err
	}
	ref := dataset.Reference{ID: dataset.ID{Namespace: ns, Name: name}}
	if versioned {
		ref.Selector, err = dataset.ParseSelector(version)
	}
	return ref, err
}

// checkDirectory says whether a directory may have this path.
func checkDirectory(names []string) error {
	if _, err := placeOf(names); err != nil {
		return err
	}
	if len(names) == depthTable {
		_, err := dataset.ParseTableName(names[2])
		return err
	}
	return nil
}

// batch splits what is below a table into the batch's directory and what is below that. A directory whose name begins
// with a dot or an underscore is no batch yet.
func (p place) batch() (mode, name string, rest []string, ok bool) {
	if len(p.below) < 2 || p.below[0] != replaceName && p.below[0] != appendName || hidden(p.below[1]) {
		return "", "", nil, false
	}
	return p.below[0], p.below[1], p.below[2:], true
}

// isBatch tells of the path of a directory whether it is a batch's.
func (p place) isBatch() bool {
	_, _, rest, ok := p.batch()
	return ok && len(rest) == 0
}

// isMarker tells of the path of a file whether its creation commits a batch.
func (p place) isMarker() bool {
	_, _, rest, ok := p.batch()
	return ok && len(rest) == 1 && rest[0] == successName
}

// role is what a file is for, which its path says.
type role int

const (
	waits      role = iota // a temporary name, or none that means anything here
	single                 // published by itself
	batched                // published with its batch
	marker                 // commits its batch
	describes              // a manifest
	misplaced              // data beside the batches
	undeclared             // would be data if the table were declared as one of files
)

// role of a file; made tells how it was created.
func (p place) role(kind manifest.TableKind, made creation) role {
	switch {
	case p.depth == depthTable && p.name == manifestName:
		return describes
	case p.depth <= depthTable:
		return waits
	case p.isMarker():
		return marker
	}
	data, rest := single, p.below
	if rest[0] == replaceName || rest[0] == appendName {
		_, _, in, ok := p.batch()
		switch {
		case ok && len(in) > 0:
			data, rest = batched, in
		case len(rest) == 2:
			data, rest = misplaced, rest[1:]
		default:
			return waits
		}
	}
	switch {
	case kind == manifest.Files && !waitsInFiles(rest, made):
		return data
	case kind != manifest.Files && !waitsInParquet(rest, made):
		return data
	case kind == "" && data == single && !waitsInFiles(rest, made) && !slices.ContainsFunc(rest, hidden):
		return undeclared
	}
	return waits
}
