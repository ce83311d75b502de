package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/annexfs/annexfs/test/harness"
)

// TestStaging_Manifest holds that a manifest which is copied to manifest.json is registered and linked, and that the
// report on a bad one names the field.
func TestStaging_Manifest(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, backend harness.Backend) {
		b := newBed(t, u, backend, tables{"orders": orderTable})
		path := b.staging("manifest.json")
		text := tables{"orders": orderTable, "photos": filesTable}.manifest(t)
		source := filepath.Join(b.newDir(t), "m.json")
		write := func(text string) {
			if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for bad, says := range map[string]string{
			strings.Replace(text, "utf8", "text", 1):           "schema.fields",
			strings.Replace(text, `"files"`, `"folder"`, 1):    "tables.photos.kind",
			text[:len(text)-5]:                                 "JSON",
			strings.Replace(text, `"dataset"`, `"dateset"`, 1): "kind",
		} {
			write(bad)
			refused(t, b.Exec("cp", source, path), 1, "Invalid argument")
			report(t, path, syscall.EINVAL, says)
			equal(t, "what is left of a bad manifest", harness.ReadFile(t, path), bad)
			equal(t, "@dev", harness.ReadLink(t, b.Path("shop/sales/@dev")), "@"+b.Manifest)
		}
		write(text)
		b.MustExec("cp", source, path)
		hash := b.Must("resolve", "shop/sales@dev")
		if hash == b.Manifest {
			t.Error("the manifest that was copied is not @dev")
		}
		harness.Eventually(t, soon, func() string {
			return differ("@dev", harness.ReadLink(t, b.Path("shop/sales/@dev")), "@"+hash)
		})
		equal(t, "hash of manifest.json", hashOf(harness.ReadFile(t, b.table("manifest.json"))), hash)
		unstaged(t, b.staging("orders"))
		missing(t, path+".error")

		b.MustExec("cp", b.source(t, 0, 10), b.staging("orders"))
		b.MustExec("cp", source, b.staging("photos/m.json"))
		b.holds(t, "orders", 1, 10)
		listed(t, b.table("photos"), "m.json")
	})
}

// TestStaging_Unknown holds that a dataset which does not exist is made by mkdir and the first parquet file, whose
// schema is the table's from then on.
func TestStaging_Unknown(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, backend harness.Backend) {
		b := newBed(t, u, backend, tables{"orders": orderTable})
		dir := b.Path(".annexfs/staging/acme/sales/orders")
		b.MustExec("mkdir", "-p", dir)
		missing(t, b.Path("acme"))
		if result := b.Exec("cp", "/etc/passwd", dir+"/a.txt"); result.Code == 0 {
			t.Error("a file of no known form is taken into a table that nobody has declared")
		}
		report(t, dir+"/a.txt", syscall.EINVAL, "manifest")
		b.MustExec("sh", "-c", `rm -f "$1"/a.txt*`, "sh", dir)

		in := filepath.Dir(b.source(t, 0, 100))
		harness.WriteParquet(t, filepath.Join(in, "b.parquet"), 100, 100)
		b.MustExec("sh", "-c", `cp "$1"/*.parquet "$2"/`, "sh", in, dir)
		harness.Eventually(t, soon, func() string { return exists(b.Path("acme/sales/@dev/orders"), true) })
		b.span(t, b.Path("acme/sales/@dev/orders"), 2, 0, 200)
		refused(t, b.Exec("cp", b.foreign(t), dir), 1, "Invalid argument")
		report(t, filepath.Join(dir, "a.parquet"), syscall.EINVAL, "column color (utf8) is not in the table")

		// A second table of the dataset is a new manifest, which the first one's files must be found under too.
		lines := b.Path(".annexfs/staging/acme/sales/lines")
		b.MustExec("mkdir", "-p", lines)
		b.MustExec("cp", b.source(t, 0, 50), lines)
		harness.Eventually(t, soon, func() string { return exists(b.Path("acme/sales/@dev/lines"), true) })
		b.span(t, b.Path("acme/sales/@dev/lines"), 1, 0, 50)
		b.span(t, b.Path("acme/sales/@dev/orders"), 2, 0, 200)

		batch := b.Path(".annexfs/staging/acme/other/orders/replace/one")
		b.MustExec("mkdir", "-p", batch)
		b.MustExec("cp", in+"/a.parquet", in+"/b.parquet", batch)
		succeeds(t, "commit of a batch of a new dataset", commit(batch))
		harness.Eventually(t, soon, func() string { return exists(b.Path("acme/other/@dev/orders"), true) })
		b.span(t, b.Path("acme/other/@dev/orders"), 2, 0, 200)
	})
}

// TestStaging_Version holds that staging writes to the tables of @dev, and to those of a version that is named.
func TestStaging_Version(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		s := harness.NewSample(t, u, harness.Backend{})
		b := &bed{Repo: s.Repo, Mount: s.Mount(), Manifest: s.Second, in: harness.Dir(t)}
		b.MustExec("cp", b.source(t, 7000, 100), b.staging("orders"))
		b.span(t, b.Path("shop/sales/@1.1.0/orders"), 3, 5000, 2100)
		orders(t, b.Path("shop/sales/@1.0.0/orders"), s.Orders)

		old := b.Path(".annexfs/staging/shop/sales@1.0.0/orders")
		b.MustExec("cp", b.source(t, 2500, 100), old)
		b.span(t, b.Path("shop/sales/@1.0.0/orders"), 4, 0, 2600)
		b.span(t, b.Path("shop/sales/@1.1.0/orders"), 3, 5000, 2100)

		none := b.Path(".annexfs/staging/shop/sales@9.9.9")
		missing(t, none)
		if result := b.Exec("sh", "-c", `mkdir -p "$2/orders" && cp "$1" "$2/orders"`, "sh", b.source(t, 0, 10), none); result.Code == 0 {
			t.Error("a file for a version that does not exist is taken")
		}
		missing(t, b.Path("shop/sales/@9.9.9"))
	})
}
