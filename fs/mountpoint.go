package fs

import (
	"bufio"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/annexfs/annexfs/internal/fault"
)

const (
	fuseDevice = "/dev/fuse"
	fuseHelper = "fusermount3"
)

// checkMountpoint says what is wrong with a mount point while there is still somebody to tell.
func checkMountpoint(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, syscall.ENOTCONN):
		return fmt.Errorf("%w: a mount whose daemon died is still on %s; run 'annexfs umount %s' first", fault.ErrConflict, path, path)
	case errors.Is(err, iofs.ErrNotExist):
		return fmt.Errorf("the mount point %s does not exist; make it with 'mkdir -p %s': %w", path, path, iofs.ErrNotExist)
	case err != nil:
		return fmt.Errorf("mount point: %w", err)
	case !info.IsDir():
		return fmt.Errorf("the mount point %s is not a directory: %w", path, iofs.ErrInvalid)
	}
	real, err := resolve(path)
	if err != nil {
		return fmt.Errorf("mount point: %w", err)
	}
	mounts, err := MountsBelow(real)
	if err != nil {
		return err
	}
	if kind := mounts[real]; strings.HasPrefix(kind, "fuse") {
		return fmt.Errorf("%w: %s is mounted on %s already; 'annexfs umount %s' frees it", fault.ErrConflict, kind, path, path)
	}
	names, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("mount point: %w", err)
	}
	if len(names) > 0 {
		return fmt.Errorf("%w: the mount point %s is not empty and a mount would hide what is in it; choose an empty directory",
			fault.ErrConflict, path)
	}
	return nil
}

func resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// MountsBelow are the types of the file systems that are mounted on the path and below it, by their mount points; the
// topmost where several lie on one. The path is absolute and has no symbolic links.
func MountsBelow(path string) (map[string]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	mounts := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		fields, types := strings.Fields(before), strings.Fields(after)
		if len(fields) < 5 || len(types) == 0 {
			continue
		}
		if point := unescapeMount.Replace(fields[4]); point == path || strings.HasPrefix(point, path+"/") {
			mounts[point] = types[0]
		}
	}
	return mounts, lines.Err()
}

// unescapeMount undoes the octal escapes of mountinfo.
var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// checkFUSE tells what the machine lacks for any FUSE mount.
func checkFUSE() error {
	f, err := os.OpenFile(fuseDevice, os.O_RDWR, 0)
	switch {
	case errors.Is(err, iofs.ErrNotExist), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV):
		return fmt.Errorf("%s is missing: load the kernel's fuse module ('modprobe fuse'), or give the container the device: %w", fuseDevice, err)
	case errors.Is(err, iofs.ErrPermission):
		return fmt.Errorf("%s may not be opened by this user: an administrator can allow it with 'chmod 0666 %s': %w", fuseDevice, fuseDevice, err)
	case err != nil:
		return fmt.Errorf("%s cannot be used: %w", fuseDevice, err)
	}
	info, err := f.Stat()
	_ = f.Close()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return fmt.Errorf("%s is no device: the kernel's fuse module is not loaded, or the container was not given it: %w", fuseDevice, iofs.ErrInvalid)
	}
	if os.Geteuid() == 0 {
		return nil
	}
	if _, err := exec.LookPath(fuseHelper); err != nil {
		return fmt.Errorf("%s is not in the PATH: an ordinary user needs it to mount; install your system's fuse3 package: %w", fuseHelper, err)
	}
	return nil
}

func detach(path string) error {
	if os.Geteuid() == 0 {
		return os.NewSyscallError("umount2", syscall.Unmount(path, syscall.MNT_DETACH))
	}
	if out, err := exec.Command(fuseHelper, "-u", "-z", "--", path).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %s: %w", fuseHelper, strings.TrimSpace(string(out)), err)
	}
	return nil
}
