package fs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/filestore"
	"github.com/annexfs/annexfs/fs/staging"
	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/objects"
	"github.com/annexfs/annexfs/registry"
)

// Backend is what the tree is read from. Mount does not close it.
type Backend struct {
	DB       *metadb.DB
	Registry *registry.Registry
	Data     *datastore.Store
	Files    *filestore.Store
	Objects  *objects.Store

	// Publisher takes what is copied into staging, whose bytes lie in StagingDir until then. Nil: nothing can be written.
	Publisher  staging.Publisher
	StagingDir string
}

// Options of a mount.
type Options struct {
	// Mountpoint is an existing, empty directory.
	Mountpoint string
	// AllowOther lets other users in. Root always does; an ordinary user needs user_allow_other in /etc/fuse.conf.
	AllowOther bool
	// UID and GID own everything in the tree.
	UID, GID uint32
	// NoPassthrough has the daemon read local files, where the kernel could read them by itself.
	NoPassthrough bool
	// NoSymlinkCache has the kernel ask for a symlink's target whenever it follows one.
	NoSymlinkCache bool
	// Version of the program, for status.json.
	Version string
	// Logger takes what a reader cannot be told. Nil is the default logger.
	Logger *slog.Logger

	pid int
}

const (
	maxRequest    = 512 << 10 // bytes of one READ or WRITE
	readAheadSize = 1 << 20   // bytes
	maxBackground = 64        // READs of the kernel's read-ahead under way
)

// Server is one mount.
type Server struct {
	tree     *tree
	server   *fuse.Server
	writable *writable // nil: nothing can be written
	stop     context.CancelFunc
	served   chan struct{}
	behind   sync.WaitGroup // what runs besides, until stop
	end      sync.Once
}

// Mount mounts the tree and serves it until Unmount, or until somebody else unmounts it. The mount is usable when Mount
// returns. Errors say what a person can do about them.
func Mount(ctx context.Context, b Backend, o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.pid = os.Getpid()
	if err := checkMountpoint(o.Mountpoint); err != nil {
		return nil, err
	}
	if err := checkFUSE(); err != nil {
		return nil, err
	}
	t, err := newTree(b, o)
	if err != nil {
		return nil, err
	}
	s := &Server{tree: t, served: make(chan struct{})}
	if err := s.openStaging(ctx); err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.writable.close())
	}
	if err := s.mountStaging(); err != nil {
		return nil, errors.Join(err, s.Unmount())
	}
	return s, nil
}

// start mounts the main tree and begins to serve it and to follow the database.
func (s *Server) start(ctx context.Context) error {
	o := s.tree.opts
	head, err := s.tree.DB.Head(ctx)
	if err != nil {
		return err
	}
	var root fuse.RawFileSystem = s.tree
	if s.writable != nil && !nested() {
		root = &router{tree: s.tree, staging: s.writable.tree.RawFileSystem()}
	}
	s.server, err = fuse.NewServer(root, o.Mountpoint, fuseOptions(o, s.writable != nil))
	if err != nil {
		return fmt.Errorf("mounting on %s: %w", o.Mountpoint, err)
	}
	behind, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go func() {
		defer close(s.served)
		s.server.Serve()
	}()
	s.behind.Go(func() { s.tree.watch(behind, head) })
	s.behind.Go(func() { s.tree.trim.run(behind) })
	if err := s.server.WaitMount(); err != nil {
		return errors.Join(fmt.Errorf("mounting on %s: %w", o.Mountpoint, err), s.Unmount())
	}
	if err := readAhead(o.Mountpoint); err != nil {
		o.Logger.Debug("the kernel reads ahead by its default of 128 KiB", "err", err)
	}
	return nil
}

// readAhead has the kernel ask for more than its 128 KiB ahead: reading in order through the daemon then takes a third
// less time. Only root may change it. Asking for the device sends the daemon no request.
func readAhead(mountpoint string) error {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, mountpoint, unix.AT_STATX_DONT_SYNC, 0, &st); err != nil {
		return os.NewSyscallError("statx", err)
	}
	path := fmt.Sprintf("/sys/class/bdi/%d:%d/read_ahead_kb", st.Dev_major, st.Dev_minor)
	return os.WriteFile(path, strconv.AppendInt(nil, readAheadSize>>10, 10), 0)
}

// nested tells whether staging gets a mount of its own: fusermount3 refuses an ordinary user a mount inside a mount.
func nested() bool { return os.Geteuid() == 0 }

// openStaging opens the writable tree, if there is to be one. Where another mount of the repository has it, this one is
// read-only, and says so in the log and in status.json.
func (s *Server) openStaging(ctx context.Context) error {
	if s.tree.Publisher == nil {
		return nil
	}
	w, err := openWritable(ctx, s.tree, nested())
	if errors.Is(err, staging.ErrHeld) {
		s.tree.log.Warn("this mount is read-only", "reason", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("staging: %w", err)
	}
	s.writable, s.tree.writable = w, w
	return nil
}

func (s *Server) mountStaging() error {
	if s.writable == nil || !nested() {
		return nil
	}
	return s.writable.mount(filepath.Join(s.tree.opts.Mountpoint, controlName, stagingName))
}

// fuseOptions: the superblock is read-only, because a passed-through read on a writable one invalidates the access time
// and has every fstat ask the daemon.
func fuseOptions(o Options, writable bool) *fuse.MountOptions {
	opts := &fuse.MountOptions{
		FsName: "annexfs", Name: "annexfs", AllowOther: o.AllowOther,
		MaxWrite: maxRequest, MaxBackground: maxBackground, EnableSymlinkCaching: !o.NoSymlinkCache, ExplicitDataCacheControl: true,
		Logger: slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
	}
	if !nested() && (!writable || o.AllowOther) {
		opts.Options = []string{"default_permissions"} // else only the owner gets in, and is told EROFS and not EACCES
	}
	switch {
	case nested(): // who may do what is the same for all: Access says it, and a stat is a tenth cheaper
		opts.AllowOther = true
		opts.DirectMountStrict = true
		opts.DirectMountFlags = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_RDONLY
	case writable:
		opts.ExtraCapabilities = fuse.CAP_HANDLE_KILLPRIV_V2 // else every WRITE asks for an extended attribute first
	default:
		opts.Options = append(opts.Options, "ro")
	}
	return opts
}

// Init keeps the way to talk to the kernel; go-fuse calls it before the first request.
func (t *tree) Init(s *fuse.Server) { t.server = s }

// Wait returns when the tree is unmounted and nothing is served any more.
func (s *Server) Wait() {
	<-s.served
	s.stop()
	s.behind.Wait()
	s.end.Do(func() {
		s.tree.inodes.close()
		if err := s.writable.close(); err != nil {
			s.tree.log.Error("closing staging", "error", err)
		}
	})
}

// Unmount unmounts and waits. A mount that is in use stays whole, with an error that is syscall.EBUSY.
func (s *Server) Unmount() error {
	if err := s.writable.unmount(); err != nil {
		return fmt.Errorf("unmounting staging: %w", err)
	}
	if err := s.server.Unmount(); err != nil {
		return errors.Join(fmt.Errorf("unmounting %s: %w", s.tree.opts.Mountpoint, err), s.mountStaging())
	}
	s.Wait()
	return nil
}

// Detach takes the tree away from its mount point at once, and serves what is open there until it is closed.
func (s *Server) Detach() error { return detach(s.tree.opts.Mountpoint) }

// Status is what the mount is doing, as in .annexfs/status.json.
func (s *Server) Status() Status { return s.tree.report() }
