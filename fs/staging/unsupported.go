package staging

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// unsupported answers what staging does not do, in words that programs put up with: cp -a tries extended attributes and
// goes on, rsync and rclone try to allocate space, everybody copies where no range can be copied. It is not ENOSYS,
// which the kernel would remember for all files of the mount, also those of a tree around this one.
type unsupported struct{ fuse.RawFileSystem }

const notSupported = fuse.Status(syscall.EOPNOTSUPP)

func (unsupported) GetXAttr(<-chan struct{}, *fuse.InHeader, string, []byte) (uint32, fuse.Status) {
	return 0, notSupported
}

func (unsupported) ListXAttr(<-chan struct{}, *fuse.InHeader, []byte) (uint32, fuse.Status) {
	return 0, fuse.OK
}

func (unsupported) SetXAttr(<-chan struct{}, *fuse.SetXAttrIn, string, []byte) fuse.Status {
	return notSupported
}

func (unsupported) RemoveXAttr(<-chan struct{}, *fuse.InHeader, string) fuse.Status {
	return notSupported
}

func (unsupported) Fallocate(<-chan struct{}, *fuse.FallocateIn) fuse.Status { return notSupported }

func (unsupported) CopyFileRange(<-chan struct{}, *fuse.CopyFileRangeIn) (uint32, fuse.Status) {
	return 0, notSupported
}

func (unsupported) Tmpfile(<-chan struct{}, *fuse.CreateIn, *fuse.CreateOut) fuse.Status {
	return notSupported
}

func (unsupported) Readlink(<-chan struct{}, *fuse.InHeader) ([]byte, fuse.Status) {
	return nil, fuse.EINVAL
}

// Access is asked only where the kernel does not check permissions itself.
func (unsupported) Access(<-chan struct{}, *fuse.AccessIn) fuse.Status { return fuse.OK }

func (unsupported) Ioctl(<-chan struct{}, *fuse.IoctlIn, []byte, *fuse.IoctlOut, []byte) fuse.Status {
	return fuse.Status(syscall.ENOTTY)
}
