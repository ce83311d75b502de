package filestore_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/annexfs/annexfs/filestore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/durable"
)

func makeOld(t *testing.T, path string) {
	t.Helper()
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-48*time.Hour)); err != nil {
		t.Fatal(err)
	}
}

// finders are the ways of inserting what may be there.
func finders() map[string]func(*testing.T, *filestore.Store, dataset.Key) (created bool, err error) {
	return map[string]func(*testing.T, *filestore.Store, dataset.Key) (bool, error){
		"Insert": func(t *testing.T, s *filestore.Store, _ dataset.Key) (bool, error) {
			_, created, err := s.Insert(t.Context(), strings.NewReader("hello"), "a.txt")
			return created, err
		},
		"InsertFile": func(t *testing.T, s *filestore.Store, key dataset.Key) (bool, error) {
			_, created, err := s.InsertFile(t.Context(), writeFile(t, "hello"), &key, "", false)
			return created, err
		},
		"InsertFile by moving": func(t *testing.T, s *filestore.Store, key dataset.Key) (bool, error) {
			_, created, err := s.InsertFile(t.Context(), writeFile(t, "hello"), &key, "", true)
			return created, err
		},
		"Adopt": func(t *testing.T, s *filestore.Store, key dataset.Key) (bool, error) {
			path := writeFile(t, "hello")
			created, err := s.Adopt(path, key)
			if errors.Is(err, durable.ErrCopy) {
				_, created, err = s.InsertFile(t.Context(), path, &key, "", true)
			}
			return created, err
		},
	}
}

// TestStore_Collect holds that only what is old and unnamed goes.
func TestStore_Collect(t *testing.T) {
	s, _ := newStore(t)
	key, before := insert(t, s, "hello"), time.Now().Add(-time.Hour)
	broken := errors.New("broken")
	for _, c := range []struct {
		name    string
		old     bool
		unnamed func() (bool, error)
		want    bool
		err     error
	}{
		{"young", false, func() (bool, error) { return true, nil }, false, nil},
		{"named", true, func() (bool, error) { return false, nil }, false, nil},
		{"unanswered", true, func() (bool, error) { return true, broken }, false, broken},
		{"garbage", true, func() (bool, error) { return true, nil }, true, nil},
		{"gone", false, func() (bool, error) { return true, nil }, false, nil},
	} {
		if c.old {
			makeOld(t, s.Path(key))
		}
		if got, err := s.Collect(key, before, c.unnamed); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: Collect = %t, %v, want %t, %v", c.name, got, err, c.want, c.err)
		}
	}
	if err := s.Refresh(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Refresh of what is gone: %v, want fs.ErrNotExist", err)
	}
}

// TestStore_CollectFound holds that whoever finds content makes it young, in all ways of inserting.
func TestStore_CollectFound(t *testing.T) {
	for name, find := range finders() {
		t.Run(name, func(t *testing.T) {
			s, _ := newStore(t)
			key := insert(t, s, "hello")
			makeOld(t, s.Path(key))
			if created, err := find(t, s, key); created || err != nil {
				t.Fatalf("found: %t, %v", created, err)
			}
			got, err := s.Collect(key, time.Now().Add(-time.Hour), func() (bool, error) { return true, nil })
			if got || err != nil {
				t.Errorf("Collect = %t, %v, want false", got, err)
			}
		})
	}
}

// TestStore_CollectBeside has content inserted at the moment when the collector has found out that nobody names it: it is
// stored once more after it was removed.
func TestStore_CollectBeside(t *testing.T) {
	for name, find := range finders() {
		t.Run(name, func(t *testing.T) {
			s, _ := newStore(t)
			key := insert(t, s, "hello")
			makeOld(t, s.Path(key))
			found := make(chan error)
			got, err := s.Collect(key, time.Now().Add(-time.Hour), func() (bool, error) {
				go func() {
					_, err := find(t, s, key)
					found <- err
				}()
				return true, nil
			})
			if !got || err != nil {
				t.Errorf("Collect = %t, %v, want true", got, err)
			}
			if err := <-found; err != nil {
				t.Errorf("inserting meanwhile: %v", err)
			}
			if err := s.Verify(t.Context(), key); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestStore_Moved holds that what is moved into the store is young there, whatever its time was.
func TestStore_Moved(t *testing.T) {
	for _, adopt := range []bool{false, true} {
		s, _ := newStore(t)
		key, path := parseKey(t, exampleKey), writeFile(t, "hello")
		makeOld(t, path)
		var err error
		if adopt {
			_, err = s.Adopt(path, key)
		} else {
			_, _, err = s.InsertFile(t.Context(), path, &key, "", true)
		}
		if err != nil {
			t.Fatal(err)
		}
		if info, err := s.Stat(key); err != nil || time.Since(info.ModTime) > time.Minute || time.Since(info.ChangeTime) > time.Minute {
			t.Errorf("adopt %t: %+v, %v, want it young", adopt, info, err)
		}
	}
}
