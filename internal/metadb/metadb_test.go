package metadb_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

func TestDB_Errors(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		addManifest(t, db, "m1")
		mustExec(t, db, "insert into datasets (namespace, name, created_at) values ('ns', 'name', 1)")
		tests := []struct {
			name, query string
			want        error
		}{
			{"unique", "insert into manifests (hash, path, kind, size, created_at) values ('m1', 'p', 'k', 1, 1)", fs.ErrExist},
			{"unique pair", "insert into datasets (namespace, name, created_at) values ('ns', 'name', 2)", fs.ErrExist},
			{"primary key", "insert into change_head (one, seq) values (true, 7)", fs.ErrExist},
			{"unknown parent", `insert into dataset_manifests (namespace, name, hash, link_no, created_at, linked_at)
				values ('ns', 'name', 'm2', 1, 1, 1)`, fault.ErrConflict},
		}
		for _, tt := range tests {
			if err := execOne(t, db, tt.query); !errors.Is(err, tt.want) {
				t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
			}
		}
		var hash string
		err := db.QueryRow(t.Context(), "select hash from manifests where hash = $1", "m2").Scan(&hash)
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("no row: got %v, want fs.ErrNotExist", err)
		}
		err = execOne(t, db, "insert into jobs (node, kind, status, heartbeat_at, created_at) values ('n', 'k', 'x', 1, 1)")
		if err == nil {
			t.Error("a job of unknown status was taken")
		}
		if err := execOne(t, db, "insert into nonsense (x) values (1)"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("unknown table: got %v, want an error of no kind", err)
		}
	})
}

func TestDB_Query(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		for _, hash := range []string{"b", "B", "ä", "a_", "a-"} {
			addManifest(t, db, hash)
		}
		before := db.Queries()
		rows, err := db.Query(t.Context(), "select hash from manifests order by hash")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var got []string
		for rows.Next() {
			var hash string
			if err := rows.Scan(&hash); err != nil {
				t.Fatal(err)
			}
			got = append(got, hash)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"B", "a-", "a_", "b", "ä"}, got); diff != "" {
			t.Errorf("order is not that of bytes (-want +got):\n%s", diff)
		}
		if n := db.Queries() - before; n != 1 {
			t.Errorf("Queries counted %d, want 1", n)
		}
	})
}

func TestDB_ReadersCannotWrite(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		const query = "insert into datasets (namespace, name, created_at) values ('ns', 'name', 1) returning id"
		var id int64
		if err := db.QueryRow(t.Context(), query).Scan(&id); !errors.Is(err, fault.ErrReadOnly) {
			t.Errorf("DB.QueryRow: got %v, want ErrReadOnly", err)
		}
		err := db.View(t.Context(), func(q metadb.Queryer) error {
			return q.QueryRow(t.Context(), query).Scan(&id)
		})
		if !errors.Is(err, fault.ErrReadOnly) {
			t.Errorf("View: got %v, want ErrReadOnly", err)
		}
		if n := number(t, db, "select count(*) from datasets"); n != 0 {
			t.Errorf("%d rows were written", n)
		}
	})
}

func TestDB_View(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		addManifest(t, db, "m1")
		var first, second int64
		err := db.View(t.Context(), func(q metadb.Queryer) error {
			first = number(t, q, "select count(*) from manifests")
			addManifest(t, db, "m2")
			second = number(t, q, "select count(*) from manifests")
			return nil
		})
		if err != nil || first != 1 || second != 1 {
			t.Errorf("one snapshot saw %d and then %d manifests (%v), want 1 and 1", first, second, err)
		}
		if n := number(t, db, "select count(*) from manifests"); n != 2 {
			t.Errorf("afterwards there are %d, want 2", n)
		}
		want := errors.New("stop")
		if err := db.View(t.Context(), func(metadb.Queryer) error { return want }); !errors.Is(err, want) {
			t.Errorf("View gave %v, want its function's error", err)
		}
	})
}

func TestDB_Query_Canceled(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		const endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
		for range 6 { // more than there are connections
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			begun := time.Now()
			var n int64
			err := db.QueryRow(ctx, endless).Scan(&n)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want context.DeadlineExceeded", err)
			}
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("it ended after %v", took)
			}
		}
		if n := number(t, db, "select count(*) from manifests"); n != 0 {
			t.Errorf("afterwards: %d manifests, want 0", n)
		}
	})
}

func TestSchema_OneActiveRevision(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		addManifest(t, db, "m1")
		addManifest(t, db, "m2")
		tests := []struct {
			manifest, uuid string
			active         bool
			want           error
		}{
			{"m1", "u1", true, nil},
			{"m1", "u2", true, fs.ErrExist},
			{"m1", "u2", false, nil},
			{"m1", "u3", false, nil},
			{"m2", "u4", true, nil},
			{"m2", "u1", false, fs.ErrExist}, // a revision's name is its own
		}
		for _, tt := range tests {
			if _, err := addTable(t, db, tt.manifest, tt.uuid, tt.active); !errors.Is(err, tt.want) {
				t.Errorf("%s %s active=%t: got %v, want %v", tt.manifest, tt.uuid, tt.active, err, tt.want)
			}
		}
		if err := execOne(t, db, "update physical_tables set active = true where revision = 'u2'"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a second revision became active: %v, want fs.ErrExist", err)
		}
		if err := execOne(t, db, "delete from manifests where hash = 'm1'"); !errors.Is(err, fault.ErrConflict) {
			t.Errorf("a manifest with revisions was deleted: %v, want ErrConflict", err)
		}
	})
}

func TestSchema_Cascades(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		addManifest(t, db, "m1")
		mustExec(t, db, "insert into datasets (namespace, name, created_at) values ('ns', 'name', 1)")
		mustExec(t, db, `insert into dataset_manifests (namespace, name, hash, link_no, created_at, linked_at)
			values ('ns', 'name', 'm1', 1, 1, 1)`)
		mustExec(t, db, `insert into dataset_tags (namespace, name, version, hash, target, created_at, updated_at)
			values ('ns', 'name', '1.0.0', 'm1', 'm1', 1, 1), ('ns', 'name', 'latest', 'm1', '1.0.0', 1, 1)`)
		if err := execOne(t, db, "delete from manifests where hash = 'm1'"); !errors.Is(err, fault.ErrConflict) {
			t.Errorf("a linked manifest was deleted: %v, want ErrConflict", err)
		}
		mustExec(t, db, "delete from dataset_manifests where hash = 'm1'")
		if n := number(t, db, "select count(*) from dataset_tags"); n != 0 {
			t.Errorf("%d tags outlived the link", n)
		}
		location, err := addTable(t, db, "m1", "u1", true)
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, db, `insert into file_metadata (location_id, file_name, url, object_size, created_at)
			values ($1, 'a.parquet', 'ns/name/orders/u1/a.parquet', 4, 1)`, location)
		mustExec(t, db, "insert into footer_cache (file_id, footer) select id, $1 from file_metadata", []byte("PAR1"))
		mustExec(t, db, "insert into file_directories (location_id, dir, name, created_at) values ($1, '', 'd', 1)", location)
		var footer []byte
		if err := db.QueryRow(t.Context(), "select footer from footer_cache").Scan(&footer); err != nil || string(footer) != "PAR1" {
			t.Errorf("footer is %q, %v; want PAR1", footer, err)
		}
		mustExec(t, db, "delete from physical_tables where id = $1", location)
		for _, table := range []string{"file_metadata", "footer_cache", "file_directories"} {
			if n := number(t, db, "select count(*) from "+table); n != 0 {
				t.Errorf("%d rows of %s outlived the revision", n, table)
			}
		}
	})
}

// An id is an inode number: once somebody has seen it, it is never another row's.
func TestSchema_IDsAreNotReused(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		addManifest(t, db, "m1")
		first := number(t, db, "select id from manifests")
		mustExec(t, db, "delete from manifests where hash = 'm1'")
		addManifest(t, db, "m1")
		if second := number(t, db, "select id from manifests"); second <= first {
			t.Errorf("id %d came after %d", second, first)
		}
	})
}

func TestOpen_SQLite(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.db")
	if _, err := metadb.Open(t.Context(), "sqlite:"+missing, metadb.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: got %v, want fs.ErrNotExist", err)
	}
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open made the file: %v", err)
	}
	if _, _, err := metadb.Migrate(t.Context(), "sqlite:"+filepath.Join(dir, "no/x.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: got %v, want fs.ErrNotExist", err)
	}
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := metadb.Open(t.Context(), "sqlite:"+garbage, metadb.Options{}); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("not a database: got %v, want ErrCorrupt", err)
	}
	odd := "sqlite:" + filepath.Join(dir, "50% #1 ü&a=b.db")
	if _, _, err := metadb.Migrate(t.Context(), odd); err != nil {
		t.Fatal(err)
	}
	if n := number(t, open(t, odd), "select count(*) from manifests"); n != 0 {
		t.Errorf("new database has %d manifests", n)
	}
	if _, err := os.Stat(strings.TrimPrefix(odd, "sqlite:")); err != nil {
		t.Errorf("the file has another name: %v", err)
	}
}

func TestOpen_PostgresUnreachable(t *testing.T) {
	for _, url := range []string{
		"postgres://me:sesame@127.0.0.1:1/db?sslmode=disable",
		"postgres://me@127.0.0.1:1/db?sslmode=disable&password=sesame",
	} {
		_, err := metadb.Open(t.Context(), url, metadb.Options{})
		if err == nil || strings.Contains(err.Error(), "sesame") || !strings.Contains(err.Error(), "127.0.0.1:1/db") {
			t.Errorf("got %v, want an error that names the server and no password", err)
		}
	}
}

func TestTime(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 7000, time.FixedZone("", 3600))
	if got := metadb.Time(metadb.Micros(at)); !got.Equal(at) || got.Location() != time.UTC {
		t.Errorf("got %v, want %v in UTC", got, at)
	}
}
