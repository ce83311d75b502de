package e2e_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/test/harness"
)

// tree is what people copy into a files table: every name in it is data.
var tree = map[string]string{
	"a.jpg":                       "a photo",
	"same.jpg":                    "a photo",
	"b with spaces.txt":           "text",
	"deep/er/and/deeper/c.tar.gz": "not really an archive",
	".gitignore":                  "*.o\n",
	".env.sample":                 "SECRET=\n",
	".hidden/config":              "x = 1\n",
	"pkg/__init__.py":             "import os\n",
	"site/_config.yml":            "title: site\n",
	"ünïcödé/日本.txt":              "text",
	"empty":                       "",
	"x.partial":                   "unlike rclone's",
	"tmpfile":                     "unlike Python's",
}

// TestStaging_Trees has each program that copies directories copy one into a files table.
func TestStaging_Trees(t *testing.T) {
	programs := map[string]string{
		"cp -r":         `cp -r "$1/." "$2"`,
		"cp -a":         `cp -a "$1/." "$2"`,
		"rsync":         `rsync -a "$1/" "$2/"`,
		"rsync inplace": `rsync -a --inplace "$1/" "$2/"`,
		"rsync delayed": `rsync -a --delay-updates "$1/" "$2/"`,
		"tar":           `tar -C "$1" -cf - . | tar -C "$2" -xf -`,
		"bsdtar":        `bsdtar -C "$1" -cf - . | bsdtar -C "$2" -xf -`,
		"busybox tar":   `busybox tar -C "$1" -cf - . | busybox tar -C "$2" -xf -`,
		"busybox cp":    `busybox cp -r "$1/." "$2"`,
		"zip":           `cd "$1" && zip -qr "$1.zip" . && unzip -oq "$1.zip" -d "$2"`,
		"rclone":        `rclone --config "" copy "$1" "$2"`,
		"find and mv":   `cp -r "$1" "$1.copy" && cd "$1.copy" && find . -type d -exec mkdir -p "$2/{}" \; && find . -type f -exec mv {} "$2/{}" \;`,
	}
	tools := copyTools(t, "rclone")
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		declared := tables{}
		for name := range programs {
			declared[tableOf(name)] = filesTable
		}
		b := newBed(t, u, harness.Backend{}, declared)
		for name, script := range programs {
			harness.As(t, tableOf(name), u, func(t *testing.T) {
				in := b.tree(t, tree)
				result := b.Exec("env", "PATH="+tools+":/usr/local/bin:/usr/bin:/bin", "sh", "-c", script, "sh", in, b.staging(tableOf(name)))
				if result.Code != 0 || result.Stderr != "" {
					t.Errorf("exit status %d: %s", result.Code, result.Stderr)
				}
				b.publishes(t, tableOf(name), tree)
			})
		}
	})
}

// tableOf is the name of the table that a program has for itself.
func tableOf(program string) string {
	return "by_" + strings.NewReplacer(" ", "_", ",", "", ".", "_", "=", "_").Replace(program)
}

// tree makes a directory with these files.
func (b *bed) tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := b.newDir(t)
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// publishes checks that a files table holds these files, soon: an empty one is published after its close.
func (b *bed) publishes(t *testing.T, table string, want map[string]string) {
	t.Helper()
	harness.Eventually(t, 5*time.Second, func() string { return cmp.Diff(want, content(t, b.table(table))) })
	if left := content(t, b.staging(table)); len(left) != 0 {
		t.Errorf("staging still holds %v", left)
	}
}

// TestStaging_Files holds what a files table does with what is copied into it, on both databases: a key for each, no
// second copy of content, refusals, batches.
func TestStaging_Files(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, backend harness.Backend) {
		b := newBed(t, u, backend, tables{"photos": filesTable})
		in := b.tree(t, tree)
		b.MustExec("cp", "-r", in+"/.", b.staging("photos"))
		b.publishes(t, "photos", tree)
		blobs := map[string]bool{}
		for name, text := range tree {
			key := getxattr(t, b.table("photos", name), "user.annexfs.key")
			if prefix := "SHA256E-s" + itoa(len(text)) + "--" + hashOf(text); !strings.HasPrefix(key, prefix) {
				t.Errorf("key of %s: got %s, want %s and an extension", name, key, prefix)
			}
			blobs[key] = true
		}
		equal(t, "blobs", len(content(t, b.Path(".annexfs/blobs"))), len(blobs))

		refused(t, b.Exec("cp", b.source(t, 0, 10), b.staging("photos/a.jpg")), 1, "File exists")
		report(t, b.staging("photos/a.jpg"), syscall.EEXIST, "a.jpg", "replace/")
		b.MustExec("rm", b.staging("photos/a.jpg"), b.staging("photos/a.jpg.error"))

		b.MustExec("sh", "-c", `mkdir -p "$2/replace" && cp -r "$1" "$2/replace/new" && echo more > "$2/replace/new/more" &&
			touch "$2/replace/new/_SUCCESS"`, "sh", in, b.staging("photos"))
		want := maps.Clone(tree)
		want["more"] = "more\n"
		if diff := cmp.Diff(want, content(t, b.table("photos"))); diff != "" {
			t.Errorf("after replace (-want +got):\n%s", diff)
		}
		b.MustExec("sh", "-c", `mkdir -p "$1/append/x/y" && echo 1 > "$1/append/x/y/one" && touch "$1/append/x/_SUCCESS"`, "sh", b.staging("photos"))
		want["y/one"] = "1\n"
		if diff := cmp.Diff(want, content(t, b.table("photos"))); diff != "" {
			t.Errorf("after append (-want +got):\n%s", diff)
		}
	})
}

// TestStaging_FilesAtOnce holds that what cp has put into a files table is there for a command that starts when it comes
// back, though the database has not got it yet.
func TestStaging_FilesAtOnce(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, backend harness.Backend) {
		b := newBed(t, u, backend, tables{"photos": filesTable})
		const files = 10
		for n := range files {
			in := b.tree(t, map[string]string{itoa(n): "photo " + itoa(n)})
			b.MustExec("cp", "-r", in+"/.", b.staging("photos"))
			equal(t, "what was copied", b.Must("cat", "shop/sales@dev/photos/"+itoa(n)), "photo "+itoa(n))
		}
	})
}
