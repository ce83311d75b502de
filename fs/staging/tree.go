package staging

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

const (
	treeName = "tree"

	// DefaultGhostLife is how long a published file can still be found by its staged name.
	DefaultGhostLife = 15 * time.Minute

	maxRequest    = 1 << 20 // bytes of one READ or WRITE
	maxBackground = 64
)

// Options of a Tree.
type Options struct {
	// Dir is the repository's staging directory. It exists; the tree is made below it.
	Dir string
	// Publisher takes what is finished.
	Publisher Publisher
	// Logger takes refusals and what nobody can be told. Nil is the default logger.
	Logger *slog.Logger
	// UID and GID own the directories that staging makes by itself.
	UID, GID uint32
	// RootID is the kernel's number of the root; 0 is that of a mount of its own.
	RootID uint64
	// IDBase is added to all other numbers, so that they are apart from those of a tree around this one.
	IDBase uint64
	// GhostLife is how long a published file can still be found, at least; 0 is DefaultGhostLife.
	GhostLife time.Duration
}

// Tree is the staging tree of one repository. Only one may be open on a directory at a time.
type Tree struct {
	unsupported

	dir       string
	publisher Publisher
	log       *slog.Logger
	owner     fuse.Owner
	ghostLife time.Duration
	ctx       context.Context // of what no request waits for
	stop      context.CancelFunc

	server *fuse.Server // nil before Init

	shape   sync.RWMutex // see the package comment
	nodes   *nodes
	handles handles
	ghosts  ghosts
}

// New opens the staging tree. It finishes or undoes what a crash has interrupted; what was staged is there.
func New(ctx context.Context, o Options) (*Tree, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.RootID == 0 {
		o.RootID = fuse.FUSE_ROOT_ID
	}
	if o.GhostLife == 0 {
		o.GhostLife = DefaultGhostLife
	}
	t := &Tree{
		unsupported: unsupported{fuse.NewDefaultRawFileSystem()},
		dir:         filepath.Join(o.Dir, treeName),
		publisher:   o.Publisher,
		log:         o.Logger,
		owner:       fuse.Owner{Uid: o.UID, Gid: o.GID},
		ghostLife:   o.GhostLife,
		nodes:       newNodes(o.RootID, o.IDBase),
	}
	t.publisher.NotifyReturned(t.returned)
	t.ctx, t.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := t.makeDirectory(t.dir); err != nil {
		return nil, fmt.Errorf("staging directory: %w", err)
	}
	if err := t.recover(ctx); err != nil {
		return nil, fmt.Errorf("recovering staged files: %w", err)
	}
	return t, nil
}

// Close ends what no request waits for. Call it after the tree is unmounted.
func (t *Tree) Close() { t.stop() }

// RawFileSystem answers the kernel's requests: of a mount of its own, or those that another file system forwards
// because their node is the root's or above IDBase.
func (t *Tree) RawFileSystem() fuse.RawFileSystem { return t }

// Init keeps what knows the kernel; go-fuse calls it before the first request.
func (t *Tree) Init(s *fuse.Server) { t.server = s }

// MountOptions are those of a mount of its own.
func (t *Tree) MountOptions() *fuse.MountOptions {
	o := &fuse.MountOptions{
		FsName: "annexfs-staging", Name: "annexfs", Options: []string{"default_permissions"},
		MaxWrite: maxRequest, MaxBackground: maxBackground,
		// Without it every WRITE asks for an extended attribute first.
		ExtraCapabilities: fuse.CAP_HANDLE_KILLPRIV_V2,
		DisableXAttrs:     true,
		Logger:            slog.NewLogLogger(t.log.Handler(), slog.LevelWarn),
	}
	if os.Geteuid() == 0 {
		o.AllowOther = true
		o.DirectMountStrict = true
		o.DirectMountFlags = syscall.MS_NOSUID | syscall.MS_NODEV
	}
	return o
}

func (t *Tree) String() string { return "annexfs staging" }

// makeDirectory makes a directory that staging needs by itself, unless it is there.
func (t *Tree) makeDirectory(path string) error {
	err := os.Mkdir(path, 0o755)
	if os.IsExist(err) {
		return nil
	}
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	return os.Chown(path, int(t.owner.Uid), int(t.owner.Gid))
}
