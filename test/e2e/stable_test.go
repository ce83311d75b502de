package e2e_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/internal/repo"
	"github.com/annexfs/annexfs/test/harness"
)

// shape is what of an inode must not change from mount to mount.
type shape struct {
	Inode, Links uint64
	Mode         uint32
	Size, Time   int64
	UID, GID     uint32
}

// TestStable holds that inode numbers, sizes and times are the same in every mount of one database, and that no two
// files of different content share a number.
func TestStable(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, b harness.Backend) {
		s := harness.NewSample(t, u, b)
		point := s.NewPoint()
		m := s.MountOn(point)
		first := shapes(t, m)
		m.Unmount()
		m = s.MountOn(point)
		if diff := cmp.Diff(first, shapes(t, m)); diff != "" {
			t.Errorf("after mounting again (-first +second):\n%s", diff)
		}
		seen := map[uint64]string{}
		for path, shape := range first {
			if other, ok := seen[shape.Inode]; ok && !sameFile(path, other) {
				t.Errorf("%s and %s have the inode number %d", path, other, shape.Inode)
			}
			seen[shape.Inode] = path
			if shape.Time == 0 {
				t.Errorf("%s has no modification time", path)
			}
		}
	})
}

// sameFile tells of two paths that show one row of the database.
func sameFile(a, b string) bool { return filepath.Base(a) == filepath.Base(b) }

func shapes(t *testing.T, m *harness.Mount) map[string]shape {
	t.Helper()
	found := map[string]shape{}
	walk := func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		sys, ok := stat(t, path).Sys().(*syscall.Stat_t)
		if !ok {
			t.Fatalf("stat of %s has no inode number", path)
		}
		name := strings.TrimPrefix(path, m.Point)
		found[name] = shape{sys.Ino, sys.Nlink, sys.Mode, sys.Size, sys.Mtim.Nano(), sys.Uid, sys.Gid}
		return nil
	}
	for _, root := range []string{"", "shop/sales/@1.0.0/orders/.revisions", "shop/sales/@1.0.0/orders/.table.json"} {
		if err := filepath.WalkDir(m.Path(root), walk); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// TestXattrs holds what the extended attributes tell.
func TestXattrs(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, b harness.Backend) {
		s := harness.NewSample(t, u, b)
		m := s.Mount()
		table := m.Path("shop/sales/@1.0.0/orders")
		file := filepath.Join(table, harness.Names(t, table)[0])
		equal(t, "sha256", getxattr(t, file, "user.annexfs.sha256"), hashOf(harness.ReadFile(t, s.Orders[0])))
		equal(t, "rows", getxattr(t, file, "user.annexfs.rows"), "1000")
		active := harness.ReadLink(t, filepath.Join(table, ".revisions/active"))
		equal(t, "revision", getxattr(t, file, "user.annexfs.revision"), active)
		if got := getxattr(t, file, "user.annexfs.url"); !strings.HasSuffix(got, "/shop/sales/orders/"+active+"/"+filepath.Base(file)) {
			t.Errorf("url: got %s", got)
		}
		if got := getxattr(t, file, "user.annexfs.etag"); got == "" {
			t.Error("etag is empty")
		}
		photo := m.Path("shop/sales/@1.0.0/photos/a.jpg")
		equal(t, "sha256 of a photo", getxattr(t, photo, "user.annexfs.sha256"), hashOf(harness.PhotoFiles["a.jpg"]))

		buf := make([]byte, 4096)
		n, err := unix.Listxattr(file, buf)
		if err != nil {
			t.Fatal(err)
		}
		names := strings.Split(strings.TrimRight(string(buf[:n]), "\x00"), "\x00")
		for _, want := range []string{"sha256", "rows", "revision", "url", "etag"} {
			if !slices.Contains(names, "user.annexfs."+want) {
				t.Errorf("listxattr gives %q without user.annexfs.%s", names, want)
			}
		}
		if _, err := unix.Getxattr(file, "user.other", buf); err != unix.ENODATA {
			t.Errorf("getxattr user.other: got %v, want ENODATA", err)
		}
	})
}

// TestStatfs holds that df tells of the disk that holds the objects.
func TestStatfs(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		s := harness.NewSample(t, u, harness.Backend{})
		m := s.Mount()
		var mount, disk unix.Statfs_t
		if err := unix.Statfs(m.Point, &mount); err != nil {
			t.Fatal(err)
		}
		if err := unix.Statfs(filepath.Join(s.Dir, "objects"), &disk); err != nil {
			t.Fatal(err)
		}
		equal(t, "bytes in all", int64(mount.Blocks)*mount.Frsize, int64(disk.Blocks)*disk.Frsize)
		const slack = 1 << 30 // others write meanwhile
		got, want := int64(mount.Bavail)*mount.Frsize, int64(disk.Bavail)*disk.Frsize
		if got < want-slack || got > want+slack {
			t.Errorf("available: got %d, want about %d", got, want)
		}
		if out := s.MustExec("df", "-k", m.Point); !strings.Contains(out, m.Point) {
			t.Errorf("df says\n%s", out)
		}
	})
}

// TestOwner holds that the tree belongs to whoever mounted it, and may be read by others where root mounted it.
func TestOwner(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		s := harness.NewSample(t, u, harness.Backend{})
		m := s.Mount()
		for path, mode := range map[string]fs.FileMode{"shop": fs.ModeDir | 0o555, "shop/sales/@1.0.0/manifest.json": 0o444} {
			info := stat(t, m.Path(path))
			equal(t, "mode of "+path, info.Mode(), mode)
			sys, ok := info.Sys().(*syscall.Stat_t)
			if !ok || int(sys.Uid) != u.UID || int(sys.Gid) != u.GID {
				t.Errorf("%s belongs to %d:%d, want %d:%d", path, sys.Uid, sys.Gid, u.UID, u.GID)
			}
		}
		if u.Root() {
			for _, other := range harness.Users(t) {
				harness.As(t, "readBy"+other.Name, other, func(t *testing.T) {
					photos(t, m.Path("shop/sales/@1.0.0/photos"))
				})
			}
		}
	})
}

// TestConfig_Owner holds that the configuration can name another owner.
func TestConfig_Owner(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		s := harness.NewSample(t, u, harness.Backend{})
		path := filepath.Join(s.Dir, repo.ConfigName)
		config := strings.Replace(harness.ReadFile(t, path), "[mount]\n", "[mount]\nuid = 1234\ngid = 4321\n", 1)
		if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		m := s.Mount()
		sys, ok := stat(t, m.Path("shop/sales/@1.0.0/manifest.json")).Sys().(*syscall.Stat_t)
		if !ok || sys.Uid != 1234 || sys.Gid != 4321 {
			t.Errorf("it belongs to %d:%d, want 1234:4321", sys.Uid, sys.Gid)
		}
	})
}
