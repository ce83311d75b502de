package metadb_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

func TestMigrate(t *testing.T) {
	metadbtest.EachEmpty(t, func(t *testing.T, url string) {
		from, to, err := metadb.Migrate(t.Context(), url)
		if err != nil || from != 0 || to < 1 {
			t.Fatalf("from empty: %d to %d, %v; want 0 to at least 1", from, to, err)
		}
		addManifest(t, open(t, url), "m1")
		again, same, err := metadb.Migrate(t.Context(), url)
		if err != nil || again != to || same != to {
			t.Errorf("again, while it is open: %d to %d, %v; want %d to %d", again, same, err, to, to)
		}
		if n := number(t, open(t, url), "select count(*) from manifests"); n != 1 {
			t.Errorf("%d manifests are left, want 1", n)
		}
	})
}

func TestOpen_SchemaOlder(t *testing.T) {
	metadbtest.EachEmpty(t, func(t *testing.T, url string) {
		if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
			createFile(t, path)
		}
		_, err := metadb.Open(t.Context(), url, metadb.Options{})
		if !errors.Is(err, metadb.ErrSchemaOlder) || !strings.Contains(err.Error(), "annexfs migrate") {
			t.Errorf("got %v, want ErrSchemaOlder that names `annexfs migrate`", err)
		}
	})
}

func TestOpen_SchemaNewer(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		_, known, err := metadb.Migrate(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, open(t, url), "insert into annexfs_schema (version_id, is_applied) values (9876, true)")
		_, openErr := metadb.Open(t.Context(), url, metadb.Options{})
		_, _, migrateErr := metadb.Migrate(t.Context(), url)
		for _, err := range []error{openErr, migrateErr} {
			if !errors.Is(err, metadb.ErrSchemaNewer) || !strings.Contains(err.Error(), "version 9876") ||
				!strings.Contains(err.Error(), fmt.Sprintf("knows %d", known)) {
				t.Errorf("got %v, want ErrSchemaNewer that names versions 9876 and %d", err, known)
			}
		}
	})
}

func TestMigrate_Concurrently(t *testing.T) {
	metadbtest.EachEmpty(t, func(t *testing.T, url string) {
		var waits []func()
		for range 7 {
			waits = append(waits, startChild(t, "migrate", url))
		}
		if _, _, err := metadb.Migrate(t.Context(), url); err != nil {
			t.Errorf("beside other processes: %v", err)
		}
		for _, wait := range waits {
			wait()
		}
		db := open(t, url)
		applied := number(t, db, "select count(*) from annexfs_schema where version_id > 0")
		if last := number(t, db, "select max(version_id) from annexfs_schema"); applied != last {
			t.Errorf("%d migrations are noted, want each of %d once", applied, last)
		}
	})
}

func TestMigrate_Canceled(t *testing.T) {
	metadbtest.EachEmpty(t, func(t *testing.T, url string) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := metadb.Migrate(ctx, url); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		if _, _, err := metadb.Migrate(t.Context(), url); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// Both dialects have the same tables with the same columns, and no text of PostgreSQL depends on a locale.
func TestMigrate_SameTables(t *testing.T) {
	lite := tables(t, metadbtest.SQLite(t), `
		select t.name, c.name from pragma_table_list t, pragma_table_info(t.name) c
		where t.schema = 'main' and t.name not like 'sqlite_%' order by 1, 2`)
	pg := metadbtest.Postgres(t)
	want := tables(t, pg, `
		select table_name, column_name from information_schema.columns
		where table_schema = 'public' order by table_name collate "C", column_name collate "C"`)
	if diff := cmp.Diff(want, lite); diff != "" {
		t.Errorf("tables differ (-PostgreSQL +SQLite):\n%s", diff)
	}
	if names := slices.Sorted(maps.Keys(want)); len(names) < 15 {
		t.Errorf("found only %v", names)
	}
	n := number(t, open(t, pg), `
		select count(*) from information_schema.columns
		where table_schema = 'public' and data_type = 'text' and collation_name is distinct from 'C'`)
	if n != 0 {
		t.Errorf("%d columns are not compared by bytes", n)
	}
}

// tables maps the names of tables to their columns.
func tables(t *testing.T, url, query string) map[string][]string {
	t.Helper()
	rows, err := open(t, url).Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := map[string][]string{}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		found[table] = append(found[table], column)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestMigrate_UnknownURL(t *testing.T) {
	if _, _, err := metadb.Migrate(t.Context(), "mysql://host/db"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("got %v, want fs.ErrInvalid", err)
	}
}
