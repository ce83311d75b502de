package fs_test

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/fs"
	"github.com/annexfs/annexfs/internal/objects"
)

// copied reads a file and returns how many bytes the daemon answered and how many it had to fetch for them.
func copied(t *testing.T, s *fs.Server, path string, want []byte) (read, fetched int64) {
	t.Helper()
	before := s.Status()
	if got := must[[]byte](t)(os.ReadFile(path)); !bytes.Equal(got, want) {
		t.Fatalf("%s holds %d bytes, and other ones than were written", path, len(got))
	}
	after := s.Status()
	return after.BytesRead - before.BytesRead, after.BytesFetched - before.BytesFetched
}

// again reads once more: a few times where the kernel has given back pages meanwhile.
func again(t *testing.T, s *fs.Server, path string, want []byte) (read, fetched int64) {
	t.Helper()
	for range 5 {
		if read, fetched = copied(t, s, path, want); read == 0 && fetched == 0 {
			break
		}
	}
	return read, fetched
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // never fails
	return b
}

// TestCopied_Local holds that bytes of a local file pass the daemon once at most, and not at all where the kernel can
// read the file by itself.
func TestCopied_Local(t *testing.T) {
	content := random(3<<20 + 100)
	for _, test := range []struct {
		name        string
		o           fs.Options
		first, then int64 // bytes that pass the daemon
	}{
		{"passthrough", fs.Options{}, 0, 0},
		{"daemon", fs.Options{NoPassthrough: true}, int64(len(content)), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRepo(t)
			name := r.orders(false, string(content))[0]
			mnt, s := r.mount(test.o)
			path := filepath.Join(mnt, "acme/sales/@1.0.0/orders", name)
			first, _ := copied(t, s, path, content)
			if !test.o.NoPassthrough && !s.Status().Passthrough.Enabled {
				t.Skip("NOT RUN HERE: the kernel gives no passthrough")
			}
			if first != test.first {
				t.Errorf("%d bytes passed the daemon, want %d", first, test.first)
			}
			if then, _ := again(t, s, path, content); then != test.then {
				t.Errorf("%d bytes passed the daemon when read again, want %d", then, test.then)
			}
		})
	}
}

// TestCopied_Bucket holds that an object is fetched from its bucket once and passes the daemon once.
func TestCopied_Bucket(t *testing.T) {
	r := newRepoOn(t, "mem://")
	content := random(5<<20 + 100)
	const name, footer = "000000000-0000000000000001.parquet", 1 << 10
	start := len(content) - footer // from there on the database has it
	info := must[objects.Info](t)(r.Objects.Put(t.Context(), "acme/sales/orders/"+name, content))
	r.publish("orders", false, []datastore.NewFile{{Name: name, URL: info.Key, Size: info.Size, ETag: info.ETag,
		SHA256: sha256.Sum256(content), Rows: 1, FooterOffset: int64(start), Footer: content[start:]}})
	mnt, s := r.mount(fs.Options{})
	path := filepath.Join(mnt, "acme/sales/@1.0.0/orders", name)
	size := int64(len(content))
	read, fetched := copied(t, s, path, content)
	if most := size + size/10; read < size || read > most || fetched > most {
		t.Errorf("of %d bytes %d were fetched and %d passed the daemon, want each once", size, fetched, read)
	}
	if read, fetched = again(t, s, path, content); read != 0 || fetched != 0 {
		t.Errorf("%d bytes were fetched and %d passed the daemon when read again, want none", fetched, read)
	}
}

// TestBlockCache_Once holds that readers who come while a block is being fetched, or just then has been, share it.
func TestBlockCache_Once(t *testing.T) {
	r := newRepoOn(t, "mem://")
	content := []byte("a short block is soon there")
	const url, readers = "acme/sales/orders/x.parquet", 8
	must[objects.Info](t)(r.Objects.Put(t.Context(), url, content))
	for range 3000 {
		cache := must[fs.BlockCache](t)(fs.NewBlockCache(r.Objects))
		var g errgroup.Group
		for range readers {
			g.Go(func() error {
				_, err := cache.First(t.Context(), url, int64(len(content)))
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if got := cache.Fetched(); got != int64(len(content)) {
			t.Fatalf("%d bytes were fetched for %d readers of %d, want them once", got, readers, len(content))
		}
	}
}
