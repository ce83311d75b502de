package fs_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/annexfs/annexfs/fs"
	"github.com/annexfs/annexfs/internal/ingest"
)

// lateCommit is a Publisher that has something to commit when it is asked to.
type lateCommit struct {
	*ingest.Ingester
	commit atomic.Pointer[func()]
}

func (p *lateCommit) Settle(ctx context.Context) error {
	if commit := p.commit.Swap(nil); commit != nil {
		(*commit)()
	}
	return p.Ingester.Settle(ctx)
}

// TestMount_Settle holds that whatever shows which files there are waits for those that were acknowledged.
func TestMount_Settle(t *testing.T) {
	r := newRepo(t)
	r.images(false, "a/first.txt", "first", "b/first.txt", "first")
	r.StagingDir = t.TempDir()
	late := &lateCommit{Ingester: ingest.New(ingest.Options{Registry: r.Registry, Data: r.Data, Objects: r.Objects,
		Files: r.Files, Staging: r.StagingDir})}
	t.Cleanup(func() {
		if err := late.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	r.Publisher = late
	mnt, _ := r.mount(fs.Options{})
	table := filepath.Join(mnt, "acme/sales/@1.0.0/images")
	for _, test := range []struct {
		name, known, comes string
		shows              func() bool
	}{
		{"LOOKUP", "a", "a/looked.txt", func() bool { _, err := os.Stat(filepath.Join(table, "a/looked.txt")); return err == nil }},
		{"READDIR", "b", "b/listed.txt", func() bool { return len(must[[]os.DirEntry](t)(os.ReadDir(filepath.Join(table, "b")))) == 2 }},
		{"OPEN", ".table.json", "c/counted.txt", func() bool {
			return strings.Contains(string(must[[]byte](t)(os.ReadFile(filepath.Join(table, ".table.json")))), `"files": 5`)
		}},
	} {
		must[os.FileInfo](t)(os.Stat(filepath.Join(table, test.known))) // so that the request in question is the only one
		late.commit.Store(new(func() { r.images(false, test.comes, test.comes) }))
		if !test.shows() {
			t.Errorf("%s: %s is not seen", test.name, test.comes)
		}
	}
}
