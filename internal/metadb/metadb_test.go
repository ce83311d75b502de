package metadb_test

import (
	"testing"

	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

func open(t *testing.T, url string) *metadb.DB {
	t.Helper()
	db, err := metadb.Open(t.Context(), url, metadb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestOpen(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		got, err := db.Head(t.Context())
		if err != nil || got != 0 {
			t.Errorf("Head of a new database = %d, %v; want 0", got, err)
		}
	})
}
