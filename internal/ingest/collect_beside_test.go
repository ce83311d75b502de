package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/ingest"
)

// TestCollect_Beside has two collectors work all the time beside Adds that are interrupted, grow old, and are run again,
// so that they want the very content which is being collected: nothing that is registered is lost.
func TestCollect_Beside(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		var ended atomic.Bool
		var objects, files atomic.Int64
		var adds, collectors errgroup.Group
		for range 2 {
			c := f.again(t)
			collectors.Go(func() error {
				for !ended.Load() {
					got, err := c.Collect(t.Context(), ingest.CollectOptions{Before: time.Now().Add(-time.Hour)})
					if err != nil {
						return err
					}
					objects.Add(got.Objects.Count)
					files.Add(got.Files.Count)
				}
				return nil
			})
		}
		for _, to := range []string{"acme/crm/people", "acme/crm/photos", "acme/crm/counted"} {
			p := f.again(t)
			var rounds [][]string
			for n := range int64(10) {
				rounds = append(rounds, p.some(t, to, 1000*n))
			}
			adds.Go(func() error { return p.addAndAge(t, to, rounds) })
		}
		if err := adds.Wait(); err != nil {
			t.Error(err)
		}
		ended.Store(true)
		if err := collectors.Wait(); err != nil {
			t.Error(err)
		}
		t.Logf("collected: %d objects, %d files", objects.Load(), files.Load())
		if got := f.wantContents(t); got == 0 || objects.Load()+files.Load() == 0 {
			t.Errorf("%d files are registered, %d objects and %d files were collected; want some of each", got, objects.Load(), files.Load())
		}
	})
}

// addAndAge adds to a table that nobody else adds to, the files of each round thrice, the last time to the end, and makes
// all of it old whenever it does not.
func (f *fixture) addAndAge(t *testing.T, to string, rounds [][]string) error {
	ref := table(t, to)
	for n := range 3 * len(rounds) {
		ctx, cancel := context.WithCancel(t.Context())
		o := ingest.AddOptions{Replace: n/3%2 == 0, Workers: 1}
		if n%3 < 2 {
			o.Progress = cancelAfter(cancel, 2+n%3)
		}
		_, err := f.Add(ctx, ref, rounds[n/3], o)
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, fault.ErrConflict) {
			return err
		}
		if err := f.ageTable(t, path.Base(to)); err != nil {
			return err
		}
	}
	return nil
}

// ageTable makes two days old what is stored of a table, and the journals of its Adds.
func (f *fixture) ageTable(t *testing.T, name string) error {
	then := time.Now().Add(-48 * time.Hour)
	old := func(path string) error {
		if err := os.Chtimes(path, then, then); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil // it was collected
	}
	if name == "photos" {
		for info, err := range f.Options.Files.List(t.Context()) {
			if err == nil {
				err = old(f.Options.Files.Path(info.Key))
			}
			if err != nil {
				return err
			}
		}
	} else if err := f.ageObjects(t, name, old); err != nil {
		return err
	}
	journals, err := filepath.Glob(filepath.Join(f.Staging, "add-*.json"))
	for _, journal := range journals {
		data, err := os.ReadFile(journal)
		if err != nil || !bytes.Contains(data, []byte("/"+name+`"`)) {
			continue // it is another table's
		}
		if err := old(journal); err != nil {
			return err
		}
	}
	return err
}

func (f *fixture) ageObjects(t *testing.T, name string, old func(path string) error) error {
	for o, err := range f.Options.Objects.List(t.Context(), "acme/crm/"+name+"/", "") {
		if err == nil {
			err = old(filepath.Join(f.dir, o.Key))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
