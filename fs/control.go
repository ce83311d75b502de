package fs

import (
	"context"
	"errors"
	"syscall"
	"time"
)

const (
	controlName = ".annexfs"
	blobsName   = "blobs"
	statusName  = "status.json"
	metricsName = "metrics"
)

// controlDir is .annexfs: found by name and not listed in the root; its own names are listed.
type controlDir struct{ t *tree }

var _ directory = (*controlDir)(nil)

func (d *controlDir) ino() uint64 { return inoControl }
func (d *controlDir) attr(context.Context) (attr, error) {
	return dirAttr(inoControl, time.Unix(0, 0)), nil
}
func (d *controlDir) blobs() *blobsDir { return &blobsDir{t: d.t, inode: inoBlobs} }

func (d *controlDir) lookup(ctx context.Context, name string) (entry, error) {
	switch name {
	case blobsName:
		return nodeEntry(ctx, name, d.blobs())
	case statusName:
		return nodeEntry(ctx, name, &reportFile{inoStatus, func() ([]byte, error) { return marshalLine(d.t.report()) }})
	case metricsName:
		return nodeEntry(ctx, name, &reportFile{inoMetrics, func() ([]byte, error) { return marshalMetrics(d.t.report().metrics()), nil }})
	case stagingName:
		if d.t.writable != nil {
			return nodeEntry(ctx, name, &stagingDir{t: d.t})
		}
	}
	return entry{}, errNeverExists
}

func (d *controlDir) list(ctx context.Context, add func(entry)) error {
	for _, name := range []string{blobsName, metricsName, stagingName, statusName} {
		e, err := d.lookup(ctx, name)
		if errors.Is(err, errNeverExists) { // staging, in a mount that is read-only
			continue
		}
		if err != nil {
			return err
		}
		add(e)
	}
	return nil
}

// stagingDir is where staging is mounted. An ordinary user's mount has the staging tree itself under this number.
type stagingDir struct{ t *tree }

var _ directory = (*stagingDir)(nil)

func (d *stagingDir) ino() uint64 { return inoStaging }

func (d *stagingDir) attr(context.Context) (attr, error) {
	return attr{ino: inoStaging, mode: syscall.S_IFDIR | 0o755, mtime: 0}, nil
}

func (d *stagingDir) list(context.Context, func(entry)) error { return nil }

func (d *stagingDir) lookup(context.Context, string) (entry, error) { return entry{}, errNeverExists }

// reportFile is status.json or metrics: what the daemon is doing, each time it is read.
type reportFile struct {
	inode  uint64
	report func() ([]byte, error)
}

var _ generated = (*reportFile)(nil)

func (f *reportFile) ino() uint64    { return f.inode }
func (f *reportFile) volatile() bool { return true }

func (f *reportFile) attr(context.Context) (attr, error) {
	data, err := f.report()
	return attr{ino: f.inode, mode: modeFile, size: int64(len(data)), mtime: time.Now().UnixNano()}, err
}

func (f *reportFile) content(context.Context) ([]byte, error) { return f.report() }
