package fs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/filestore"
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
	// Version of the program, for status.json.
	Version string
	// Logger takes what a reader cannot be told. Nil is the default logger.
	Logger *slog.Logger

	pid int
}

const (
	maxRequest    = 1 << 20 // bytes of one READ
	maxBackground = 64      // READs of the kernel's read-ahead under way
)

// Server is one mount.
type Server struct {
	tree    *tree
	server  *fuse.Server
	stop    context.CancelFunc
	watched chan struct{}
	served  chan struct{}
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
	head, err := b.DB.Head(ctx)
	if err != nil {
		return nil, err
	}
	t, err := newTree(b, o)
	if err != nil {
		return nil, err
	}
	server, err := fuse.NewServer(t, o.Mountpoint, fuseOptions(o))
	if err != nil {
		return nil, fmt.Errorf("mounting on %s: %w", o.Mountpoint, err)
	}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &Server{tree: t, server: server, stop: stop, watched: make(chan struct{}), served: make(chan struct{})}
	go func() {
		defer close(s.served)
		server.Serve()
	}()
	go func() {
		defer close(s.watched)
		t.watch(watching, head)
	}()
	if err := server.WaitMount(); err != nil {
		return nil, errors.Join(fmt.Errorf("mounting on %s: %w", o.Mountpoint, err), s.Unmount())
	}
	return s, nil
}

// fuseOptions: the superblock is read-only, because a passed-through read on a writable one invalidates the access time
// and has every fstat ask the daemon.
func fuseOptions(o Options) *fuse.MountOptions {
	opts := &fuse.MountOptions{
		FsName: "annexfs", Name: "annexfs", Options: []string{"default_permissions"}, AllowOther: o.AllowOther,
		MaxWrite: maxRequest, MaxBackground: maxBackground, EnableSymlinkCaching: true, ExplicitDataCacheControl: true,
		Logger: slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
	}
	if os.Geteuid() == 0 {
		opts.AllowOther = true
		opts.DirectMountStrict = true
		opts.DirectMountFlags = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_RDONLY
	} else {
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
	<-s.watched
}

// Unmount unmounts and waits. A mount that is in use stays, with an error that is syscall.EBUSY.
func (s *Server) Unmount() error {
	if err := s.server.Unmount(); err != nil {
		return fmt.Errorf("unmounting %s: %w", s.tree.opts.Mountpoint, err)
	}
	s.Wait()
	return nil
}

// Detach takes the tree away from its mount point at once, and serves what is open there until it is closed.
func (s *Server) Detach() error { return detach(s.tree.opts.Mountpoint) }

// Status is what the mount is doing, as in .annexfs/status.json.
func (s *Server) Status() Status { return s.tree.report() }
