package harness

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// order is a row of the sample's parquet table.
type order struct {
	ID     int64   `parquet:"id"`
	Name   string  `parquet:"name"`
	Amount float64 `parquet:"amount"`
}

// WriteParquet writes a parquet file with the ids [first, first+rows). The same arguments give the same bytes.
func WriteParquet(t testing.TB, path string, first, rows int) {
	t.Helper()
	source := rand.New(rand.NewPCG(uint64(first), uint64(rows)))
	table := make([]order, rows)
	for i := range table {
		id := first + i
		table[i] = order{int64(id), fmt.Sprintf("order %d", id), float64(source.IntN(100_000)) / 100}
	}
	if err := parquet.WriteFile(path, table); err != nil {
		t.Fatal(err)
	}
}

// SampleManifest is a manifest with a parquet table "orders", as WriteParquet writes it, and a files table "photos".
// Manifests with different notes have different hashes.
func SampleManifest(note string) string {
	return fmt.Sprintf(`{
  "kind": "dataset",
  "metadata": {"note": %q},
  "tables": {
    "orders": {
      "kind": "parquet",
      "schema": {"fields": [
        {"name": "id", "type": "int64", "nullable": false},
        {"name": "name", "type": "utf8", "nullable": false},
        {"name": "amount", "type": "float64", "nullable": false}
      ]},
      "block_column": "id"
    },
    "photos": {"kind": "files"}
  }
}`, note)
}

// Sample is a repository with the dataset shop/sales: version 1.0.0 has three files of orders and a tree of photos,
// version 1.1.0, which is latest and dev, has two files of orders.
type Sample struct {
	*Repo
	First, Second string   // hashes of 1.0.0 and 1.1.0
	Orders        []string // the original files of 1.0.0's orders, in the order of their names in the mount
	Newer         []string // likewise of 1.1.0
	Photos        string   // the original directory of 1.0.0's photos
}

// PhotoFiles are the sample's photos by their paths.
var PhotoFiles = map[string]string{
	"a.jpg":               "not really a photo",
	"b with spaces.txt":   "spaces",
	"2026/05/c.jpg":       "deep",
	"2026/06/d.jpg":       "deeper",
	"2026/06/ünïcödé.png": "named in UTF-8",
	"empty":               "",
	"same/a.jpg":          "not really a photo",
}

// NewSample makes the sample on a backend.
func NewSample(t testing.TB, u User, b Backend) *Sample {
	t.Helper()
	s := &Sample{Repo: NewRepo(t, u, b)}
	source := Dir(t)
	file := func(first, rows int) string {
		path := filepath.Join(source, fmt.Sprintf("from-%d.parquet", first))
		WriteParquet(t, path, first, rows)
		return path
	}
	s.Photos = filepath.Join(source, "photos")
	for name, content := range PhotoFiles {
		path := filepath.Join(s.Photos, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.First = s.Register("shop/sales", SampleManifest("first"))
	s.Orders = []string{file(0, 1000), file(1000, 1000), file(2000, 500)}
	s.Add("shop/sales/orders", s.Orders...)
	s.Add("shop/sales/photos", s.Photos)
	s.Must("tag", "set", "shop/sales", "1.0.0")

	s.Second = s.Register("shop/sales", SampleManifest("second"))
	s.Newer = []string{file(5000, 1000), file(6000, 1000)}
	s.Add("shop/sales/orders", s.Newer...)
	s.Must("tag", "set", "shop/sales", "1.1.0")
	return s
}

// Add adds files to a table.
func (r *Repo) Add(table string, paths ...string) {
	r.t.Helper()
	r.Must(append([]string{"add", table}, paths...)...)
}
