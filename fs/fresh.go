package fs

import (
	"context"
	"strings"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/fs/staging"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/metadb"
)

// tables are the known directories of tables that show their active revision: by the version's directory and the table,
// those of each path.
type tables map[tableKey]map[string]*tableDir

type tableKey struct {
	version uint64 // inode
	name    dataset.TableName
}

func tablesOf(members []node) tables {
	all := tables{}
	for _, n := range members {
		d, ok := n.(*tableDir)
		if !ok {
			continue
		}
		key := tableKey{d.version.inode, d.spec.Name}
		if all[key] == nil {
			all[key] = map[string]*tableDir{}
		}
		all[key][d.path] = d
	}
	return all
}

// shows tells whether there is a directory of a table of that name.
func (t tables) shows(name dataset.TableName) bool {
	for key := range t {
		if key.name == name {
			return true
		}
	}
	return false
}

// newNames are the paths of the files that changes tell of, by table, of those tables that all shows.
func (t *tree) newNames(ctx context.Context, all tables, changes []metadb.Change) map[datastore.Table][]string {
	names := map[datastore.Table][]string{}
	for _, c := range joined(changes) {
		hash, err := dataset.ParseHash(c.Hash)
		if c.FirstFile == 0 || err != nil || !all.shows(dataset.TableName(c.Table)) {
			continue
		}
		table := datastore.Table{Manifest: hash, Name: dataset.TableName(c.Table),
			Dataset: dataset.ID{Namespace: dataset.Namespace(c.Namespace), Name: dataset.Name(c.Name)}}
		for e, err := range t.Data.FilesBetween(ctx, c.LocationID, c.FirstFile, c.LastFile) {
			if err != nil {
				t.log.Warn("new files cannot be listed", "table", table.String(), "error", err)
				break
			}
			names[table] = append(names[table], e.Path)
		}
	}
	return names
}

// joined are the changes of files, those of one revision that follow one another as one.
func joined(changes []metadb.Change) []metadb.Change {
	var all []metadb.Change
	for _, c := range changes {
		if c.Kind != metadb.ChangeFiles {
			continue
		}
		if n := len(all); n > 0 && all[n-1].FirstFile > 0 && all[n-1].LocationID == c.LocationID && all[n-1].LastFile+1 == c.FirstFile {
			all[n-1].LastFile = c.LastFile
			continue
		}
		all = append(all, c)
	}
	return all
}

// dropName makes the kernel ask again for a path of a table in all its directories that match, or for the first
// directory above it that it may remember as missing: one that exists and has a node keeps its entry.
func (t *tree) dropName(all tables, table dataset.TableName, name string, match func(*tableDir) bool) {
	for key, dirs := range all {
		if key.name != table {
			continue
		}
		rest := name
		for {
			dir, base := splitPath(rest)
			if d := dirs[dir]; d != nil {
				if match(d) {
					t.dropEntry(d.inode, base)
				}
				break
			}
			if rest = dir; rest == "" {
				break
			}
		}
	}
}

// splitPath cuts a path into its directory, "" for the table itself, and its last element.
func splitPath(name string) (dir, base string) {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}

// freshPublisher makes what was published through this mount visible in it before the writer is answered. Other mounts
// learn of it from the database, as this one does a moment later.
type freshPublisher struct {
	staging.Publisher
	t *tree
}

func (p freshPublisher) Publish(ctx context.Context, table staging.Table, b staging.Batch) ([]staging.Published, error) {
	published, err := p.Publisher.Publish(ctx, table, b)
	if err != nil {
		return published, err
	}
	names := make([]string, len(b.Files))
	for i, f := range b.Files {
		names[i] = f.Name
	}
	ctx = context.WithoutCancel(ctx)
	if table.Kind == "" { // the table is new, and so are its manifest and perhaps its dataset
		p.t.appeared(ctx, table.Ref.Reference.ID)
	}
	p.t.published(ctx, table.Ref, names, b.Replace)
	return published, nil
}

func (p freshPublisher) Rename(ctx context.Context, table staging.Table, moves []staging.Move) ([]staging.Published, error) {
	published, err := p.Publisher.Rename(ctx, table, moves)
	if err != nil {
		return published, err
	}
	names := make([]string, len(moves))
	for i, m := range moves {
		names[i] = m.Name
	}
	p.t.published(context.WithoutCancel(ctx), table.Ref, names, false)
	return published, nil
}

func (p freshPublisher) Register(ctx context.Context, ref dataset.Reference, data []byte) (staging.Published, error) {
	published, err := p.Publisher.Register(ctx, ref, data)
	if err == nil {
		p.t.appeared(context.WithoutCancel(ctx), ref.ID)
	}
	return published, err
}

// published drops what the kernel keeps of the directories that got new names, under every version: which of them
// denotes the manifest that was written to need not be asked.
func (t *tree) published(ctx context.Context, ref dataset.TableRef, names []string, replaced bool) {
	all := tablesOf(t.nodes.members(ref.Reference.ID))
	for key, dirs := range all {
		if key.name != ref.Table {
			continue
		}
		for _, d := range dirs {
			t.tableChanged(ctx, d, replaced)
		}
	}
	for _, name := range names {
		t.dropName(all, ref.Table, name, func(*tableDir) bool { return true })
	}
}

// appeared makes a dataset that may be new, and what its dev denotes, visible.
func (t *tree) appeared(ctx context.Context, id dataset.ID) {
	namespace := pathIno(inoRoot, string(id.Namespace))
	if t.nodes.get(namespace) == nil {
		t.dropEntry(inoRoot, string(id.Namespace))
		return
	}
	d, ok := t.nodes.get(pathIno(namespace, string(id.Name))).(*datasetDir)
	if !ok {
		t.dropEntry(namespace, string(id.Name))
		return
	}
	t.datasetChanged(ctx, d)
}
