package harness

import (
	"os"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// User is who a test runs as.
type User struct {
	Name     string // "root" or "user": part of the names of tests
	UID, GID int
}

// Root tells whether the user is the superuser.
func (u User) Root() bool { return u.UID == 0 }

// Users are those that tests can run as here: root and an ordinary user, or the ordinary user that runs the tests.
// The test that asks says so where root is missing.
func Users(t *testing.T) []User {
	t.Helper()
	if uid := os.Getuid(); uid != 0 {
		t.Run("root", func(t *testing.T) { t.Skip("NOT RUN HERE: needs root") })
		return []User{{Name: "user", UID: uid, GID: os.Getgid()}}
	}
	return []User{{Name: "root"}, ordinary(t)}
}

// ordinary is the user that root becomes to test as an ordinary one.
func ordinary(t testing.TB) User {
	t.Helper()
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, uidErr := strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	if uidErr != nil || gidErr != nil {
		t.Fatalf("user nobody has ids %q and %q", u.Uid, u.Gid)
	}
	return User{Name: "user", UID: uid, GID: gid}
}

// As runs fn as a subtest whose thread belongs to the user: what it does to files, and the programs that it starts, are
// that user's, as are its cleanups. Goroutines and subtests that fn starts are not.
//
// The thread is never given back: it ends with the subtest's goroutine.
func As(t *testing.T, name string, u User, fn func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		if u.UID != os.Getuid() {
			become(t, u)
		}
		fn(t)
	})
}

func become(t *testing.T, u User) {
	runtime.LockOSThread()
	// The library's calls change every thread of the process, so these are the kernel's own.
	for _, call := range [][4]uintptr{
		{unix.SYS_SETGROUPS},
		{unix.SYS_SETRESGID, uintptr(u.GID), uintptr(u.GID), uintptr(u.GID)},
		{unix.SYS_SETRESUID, uintptr(u.UID), uintptr(u.UID), uintptr(u.UID)},
	} {
		if _, _, errno := syscall.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
			t.Fatalf("becoming %s: %v", u.Name, errno)
		}
	}
}
