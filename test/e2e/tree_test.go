package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/test/harness"
)

func TestTree(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, b harness.Backend) {
		s := harness.NewSample(t, u, b)
		m := s.Mount()

		listed(t, m.Point, "shop")
		listed(t, m.Path("shop"), "sales")
		listed(t, m.Path("shop/sales"), "@1.0.0", "@1.1.0", "@dev", "@latest")
		listed(t, m.Path("shop/sales/@1.0.0"), "manifest.json", "orders", "photos")
		equal(t, "latest", harness.ReadLink(t, m.Path("shop/sales/@latest")), "@1.1.0")
		equal(t, "dev", harness.ReadLink(t, m.Path("shop/sales/@dev")), "@"+s.Second)

		orders(t, m.Path("shop/sales/@1.0.0/orders"), s.Orders)
		orders(t, m.Path("shop/sales/@"+s.First+"/orders"), s.Orders)
		orders(t, m.Path("shop/sales/@latest/orders"), s.Newer)
		orders(t, m.Path("shop/sales/@dev/orders"), s.Newer)
		listed(t, m.Path("shop/sales/@1.1.0/photos"))
		photos(t, m.Path("shop/sales/@1.0.0/photos"))
		manifests(t, m, s)
		revisions(t, m, s)
		tableJSON(t, m, s)
		blobs(t, m)
		status(t, m)
	})
}

// manifests: manifest.json hashes to the version's hash.
func manifests(t *testing.T, m *harness.Mount, s *harness.Sample) {
	t.Helper()
	for version, want := range map[string]string{"@1.0.0": s.First, "@1.1.0": s.Second, "@latest": s.Second, "@" + s.First: s.First} {
		content := harness.ReadFile(t, m.Path("shop/sales", version, "manifest.json"))
		equal(t, "hash of "+version+"/manifest.json", hashOf(content), want)
		if info := stat(t, m.Path("shop/sales", version, "manifest.json")); info.Size() != int64(len(content)) {
			t.Errorf("%s/manifest.json: size %d, content has %d bytes", version, info.Size(), len(content))
		}
	}
}

// revisions: each retained revision is found, listed and pinned, by its name and by the time that it was active.
func revisions(t *testing.T, m *harness.Mount, s *harness.Sample) {
	t.Helper()
	table := m.Path("shop/sales/@1.0.0/orders")
	names := harness.Names(t, filepath.Join(table, ".revisions"))
	if len(names) != 2 || names[1] != "active" {
		t.Fatalf(".revisions lists %q, want one revision and active", names)
	}
	equal(t, ".revisions/active", harness.ReadLink(t, filepath.Join(table, ".revisions/active")), names[0])
	orders(t, filepath.Join(table, ".revisions", names[0]), s.Orders)
	orders(t, filepath.Join(table, ".revisions/active"), s.Orders)
	now := time.Now().UTC()
	orders(t, filepath.Join(table, ".at", now.Format(time.RFC3339Nano)), s.Orders)
	missing(t, filepath.Join(table, ".at", now.Add(-24*time.Hour).Format(time.RFC3339)))
}

func tableJSON(t *testing.T, m *harness.Mount, s *harness.Sample) {
	t.Helper()
	var got struct {
		Dataset string `json:"dataset"`
		Hash    string `json:"manifest_hash"`
		Table   string `json:"table_name"`
		Files   int64  `json:"files"`
		Rows    int64  `json:"rows"`
		Bytes   int64  `json:"bytes"`
		Active  string `json:"active_revision"`
	}
	content := harness.ReadFile(t, m.Path("shop/sales/@1.0.0/orders/.table.json"))
	if err := json.Unmarshal([]byte(content), &got); err != nil {
		t.Fatalf(".table.json: %v\n%s", err, content)
	}
	want := got
	want.Dataset, want.Hash, want.Table, want.Files, want.Rows, want.Bytes = "shop/sales", s.First, "orders", 3, 2500, 0
	for _, path := range s.Orders {
		want.Bytes += stat(t, path).Size()
	}
	want.Active = harness.ReadLink(t, m.Path("shop/sales/@1.0.0/orders/.revisions/active"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf(".table.json (-want +got):\n%s", diff)
	}
}

// blobs: every file of a files table is found by its key, at both places, and the key is right.
func blobs(t *testing.T, m *harness.Mount) {
	t.Helper()
	for name, content := range harness.PhotoFiles {
		key := getxattr(t, m.Path("shop/sales/@1.0.0/photos", name), "user.annexfs.key")
		if prefix := "SHA256E-s" + itoa(len(content)) + "--" + hashOf(content); !strings.HasPrefix(key, prefix) {
			t.Errorf("key of %s: got %s, want %s and an extension", name, key, prefix)
		}
		equal(t, "blobs/"+key, harness.ReadFile(t, m.Path(".annexfs/blobs", key)), content)
	}
	walked := 0
	err := filepath.WalkDir(m.Path(".annexfs/blobs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			walked++
			equal(t, path, harness.ReadFile(t, path), harness.ReadFile(t, m.Path(".annexfs/blobs", d.Name())))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	equal(t, "files below .annexfs/blobs", walked, len(harness.PhotoFiles)-1) // a.jpg and same/a.jpg are one
}

func status(t *testing.T, m *harness.Mount) {
	t.Helper()
	s := m.Status()
	equal(t, "pid", s.PID, m.PID)
	equal(t, "mountpoint", s.Mountpoint, m.Point)
	if age := time.Since(s.HeardAt); age > 5*time.Second || age < -time.Second {
		t.Errorf("heard_at is %v ago", age)
	}
	if s.MetadataQueries == 0 || len(s.Requests) == 0 {
		t.Errorf("status counts %d metadata queries and the requests %v", s.MetadataQueries, s.Requests)
	}
}

// TestTree_ControlNames holds that control names are found and not listed.
func TestTree_ControlNames(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		m := harness.NewSample(t, u, harness.Backend{}).Mount()
		for _, name := range []string{".annexfs", "shop/sales/@1.0.0/orders/.revisions", "shop/sales/@1.0.0/orders/.at"} {
			if info := stat(t, m.Path(name)); !info.IsDir() {
				t.Errorf("%s: mode %v, want a directory", name, info.Mode())
			}
			if dir, base := filepath.Split(name); slices.Contains(harness.Names(t, m.Path(dir)), base) {
				t.Errorf("%s is listed", name)
			}
		}
		err := filepath.WalkDir(m.Point, func(path string, d fs.DirEntry, err error) error {
			if path != m.Point && strings.HasPrefix(d.Name(), ".") {
				t.Errorf("a walk meets %s", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// TestTree_TestFS has the standard library judge a mounted version.
func TestTree_TestFS(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, b harness.Backend) {
		m := harness.NewSample(t, u, b).Mount()
		expected := []string{"manifest.json"}
		for name := range harness.PhotoFiles {
			expected = append(expected, "photos/"+name)
		}
		for _, name := range harness.Names(t, m.Path("shop/sales/@1.0.0/orders")) {
			expected = append(expected, "orders/"+name)
		}
		if err := fstest.TestFS(os.DirFS(m.Path("shop/sales/@1.0.0")), expected...); err != nil {
			t.Error(err)
		}
	})
}

// TestTree_Empty mounts a repository that holds nothing.
func TestTree_Empty(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, b harness.Backend) {
		m := harness.NewRepo(t, u, b).Mount()
		listed(t, m.Point)
		listed(t, m.Path(".annexfs/blobs"))
		missing(t, m.Path("shop"))
	})
}

func hashOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}
