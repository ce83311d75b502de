package ingest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/annexfs/annexfs/internal/manifest"
)

// differences tells, for a person, why files with the schema got cannot be files of a table with the schema want; none
// if they can. Columns are found by their names in any order, as all readers of parquet find them.
func differences(want, got manifest.Schema) []string {
	return diffFields("", want.Fields, got.Fields)
}

func diffFields(path string, want, got []manifest.Field) []string {
	var all []string
	for _, w := range want {
		i := slices.IndexFunc(got, func(f manifest.Field) bool { return f.Name == w.Name })
		if i < 0 {
			all = append(all, fmt.Sprintf("column %s%s (%s) is missing", path, w.Name, w.Type))
			continue
		}
		all = append(all, diffField(path+w.Name, w, got[i])...)
	}
	for _, g := range got {
		if !slices.ContainsFunc(want, func(f manifest.Field) bool { return f.Name == g.Name }) {
			all = append(all, fmt.Sprintf("column %s%s (%s) is not in the table", path, g.Name, g.Type))
		}
	}
	return all
}

func diffField(path string, want, got manifest.Field) []string {
	switch {
	case !sameType(want.Type, got.Type):
		return []string{fmt.Sprintf("column %s is %s, the table has %s", path, got.Type, want.Type)}
	case want.Type == manifest.Struct:
		return diffFields(path+".", want.Children, got.Children)
	}
	var all []string // what the children of lists and maps are called is each writer's choice
	for i, w := range want.Children {
		if i < len(got.Children) {
			all = append(all, diffField(path+"."+w.Name, w, got.Children[i])...)
		}
	}
	return all
}

// sameType tells whether parquet's type got holds what Arrow's type want promises. Parquet has no seconds, and of zones
// it only knows whether there is one.
func sameType(want, got manifest.Type) bool { return inParquet(want) == inParquet(got) }

func inParquet(t manifest.Type) manifest.Type {
	if t == manifest.Time(manifest.Second) {
		return manifest.Time(manifest.Millisecond)
	}
	inner, ok := strings.CutPrefix(string(t), "timestamp(")
	if !ok {
		return t
	}
	u, zone, _ := strings.Cut(strings.TrimSuffix(inner, ")"), ",")
	if u == string(manifest.Second) {
		u = string(manifest.Millisecond)
	}
	if zone != "" {
		zone = utc
	}
	return manifest.Timestamp(manifest.Unit(u), zone)
}
