package fs_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/fs"
)

func TestFollow_Tags(t *testing.T) {
	r := newRepo(t)
	mnt, _ := r.mount(fs.Options{})
	latest := mnt + "/acme/sales/@latest"
	if got := must[string](t)(os.Readlink(latest)); got != "@1.0.0" {
		t.Fatalf("@latest is %s", got)
	}
	r.tag("1.1.0", r.hash)
	eventually(t, "@latest is @1.1.0", func() bool {
		got, err := os.Readlink(latest)
		return err == nil && got == "@1.1.0"
	})
	if err := r.Registry.Unlink(t.Context(), sales, r.hash); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the dataset is gone", func() bool {
		_, err := os.Lstat(mnt + "/acme/sales")
		return os.IsNotExist(err)
	})
}

func TestFollow_MovedVersion(t *testing.T) {
	r := newRepo(t)
	mnt, _ := r.mount(fs.Options{})
	path := mnt + "/acme/sales/@1.0.0/manifest.json"
	before := must[[]byte](t)(os.ReadFile(path))
	h := r.link(`{"kind":"dataset","tables":{"other":{"kind":"files"}}}`)
	r.tag("1.0.0", h)
	eventually(t, "manifest.json is the other manifest", func() bool {
		after, err := os.ReadFile(path)
		return err == nil && string(after) != string(before)
	})
	eventually(t, "the version lists the other table", func() bool {
		return cmp.Equal(names(t, filepath.Dir(path)), []string{"manifest.json", "other"})
	})
}

func TestFollow_Publish(t *testing.T) {
	modes(t, func(t *testing.T, o fs.Options) {
		r := newRepo(t)
		old := r.orders(false, "one", "two")
		r.images(false, "a.jpg", "old")
		mnt, _ := r.mount(o)
		dir := mnt + "/acme/sales/@1.0.0/orders"
		if diff := cmp.Diff(old, names(t, dir)); diff != "" {
			t.Fatal(diff)
		}
		image := mnt + "/acme/sales/@1.0.0/images/a.jpg"
		if got := string(must[[]byte](t)(os.ReadFile(image))); got != "old" {
			t.Fatalf("a.jpg holds %q", got)
		}

		next := r.orders(true, "three")
		r.images(true, "a.jpg", "new content")
		eventually(t, "the table lists the new revision", func() bool { return cmp.Equal(next, names(t, dir)) })
		eventually(t, "a.jpg is the new file", func() bool {
			got, err := os.ReadFile(image)
			return err == nil && string(got) == "new content"
		})
		for i, want := range []string{"one", "two"} { // a reader that listed before the publish
			if got := string(must[[]byte](t)(os.ReadFile(filepath.Join(dir, old[i])))); got != want {
				t.Errorf("%s holds %q, want %q", old[i], got, want)
			}
		}
	})
}
