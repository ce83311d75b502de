package fs

import (
	"sync/atomic"
	"time"
)

// op is a FUSE request that is counted.
type op int

const (
	opLookup op = iota
	opForget
	opGetAttr
	opReadlink
	opAccess
	opStatFs
	opGetXAttr
	opListXAttr
	opOpenDir
	opReadDir
	opReadDirPlus
	opReleaseDir
	opOpen
	opRead
	opLseek
	opRelease
	opCount
)

var opNames = [opCount]string{"LOOKUP", "FORGET", "GETATTR", "READLINK", "ACCESS", "STATFS", "GETXATTR", "LISTXATTR",
	"OPENDIR", "READDIR", "READDIRPLUS", "RELEASEDIR", "OPEN", "READ", "LSEEK", "RELEASE"}

// stats count what the daemon did since it started.
type stats struct {
	requests        [opCount]atomic.Int64
	errors          atomic.Int64 // requests that failed for a reason the reader cannot see
	bytesRead       atomic.Int64 // that answers to READ carried
	backingOpens    atomic.Int64 // files registered for passthrough
	backingFailures atomic.Int64
	notifications   atomic.Int64
	heard           atomic.Int64 // when the database last answered, in Unix nanoseconds
	change          atomic.Int64 // the last change that was followed
}

func (s *stats) count(o op) { s.requests[o].Add(1) }

// Status is what a mount is doing: the form of .annexfs/status.json.
type Status struct {
	Version         string           `json:"version"`
	PID             int              `json:"pid"`
	Mountpoint      string           `json:"mountpoint"`
	StartedAt       time.Time        `json:"started_at"`
	HeardAt         time.Time        `json:"heard_at"` // when the database last answered: listings are no older
	Change          int64            `json:"change"`   // number of the last change that was followed
	Dialect         string           `json:"database"`
	Objects         string           `json:"objects"`
	MetadataQueries int64            `json:"metadata_queries"`
	Requests        map[string]int64 `json:"requests"`
	Errors          int64            `json:"errors"`
	BytesRead       int64            `json:"bytes_read"`    // through the daemon
	BytesFetched    int64            `json:"bytes_fetched"` // of objects in a bucket
	Notifications   int64            `json:"notifications"`
	Nodes           int              `json:"nodes"` // directories, symlinks and generated files that the kernel knows
	Handles         int              `json:"handles"`
	OpenFiles       int              `json:"open_files"`
	Passthrough     PassthroughState `json:"passthrough"`
	Staging         bool             `json:"staging"` // whether this mount can be written to
}

// PassthroughState tells whether the kernel reads local files by itself.
type PassthroughState struct {
	Enabled    bool  `json:"enabled"`
	Registered int64 `json:"registered"` // since the start
	Idle       int   `json:"idle"`       // registrations kept for files that are closed
	Failures   int64 `json:"failures"`
}

func (t *tree) report() Status {
	requests := map[string]int64{}
	for o := range opCount {
		if n := t.stats.requests[o].Load(); n > 0 {
			requests[opNames[o]] = n
		}
	}
	open, idle, enabled := t.inodes.counts()
	return Status{
		Version: t.opts.Version, PID: t.opts.pid, Mountpoint: t.opts.Mountpoint, StartedAt: t.started.UTC(),
		HeardAt: time.Unix(0, t.stats.heard.Load()).UTC(), Change: t.stats.change.Load(),
		Dialect: string(t.DB.Dialect()), Objects: t.Objects.URL(), MetadataQueries: t.DB.Queries(),
		Requests: requests, Errors: t.stats.errors.Load(), BytesRead: t.stats.bytesRead.Load(), BytesFetched: t.blocks.fetched.Load(),
		Notifications: t.stats.notifications.Load(), Nodes: t.nodes.len(), Handles: t.handles.len(), OpenFiles: open,
		Passthrough: PassthroughState{Enabled: enabled, Registered: t.stats.backingOpens.Load() - t.stats.backingFailures.Load(),
			Idle: idle, Failures: t.stats.backingFailures.Load()},
		Staging: t.writable != nil,
	}
}
