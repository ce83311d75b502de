package ingest

import (
	"context"
	"crypto/sha256"
	"io"
	"io/fs"
	"path"
	"syscall"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/durable"
)

// examine judges a file and finds out what is to be registered of it.
func (p *publication) examine(ctx context.Context, s *stagedFile) error {
	if p.tree() && !fs.ValidPath(s.Name) {
		return fail(fs.ErrInvalid, "its name is not UTF-8")
	}
	if p.examineContent(s) {
		return nil
	}
	f, info, err := durable.OpenRegular(s.Path, true)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := syscall.Fstat(int(f.Fd()), &s.stat); err != nil {
		return err
	}
	if info.Size() != s.Size {
		return conflict("it has %d bytes now and had %d", info.Size(), s.Size)
	}
	s.new = datastore.NewFile{Name: s.Name, Size: s.Size}
	if p.tree() {
		if p.alone() && s.Size <= smallFile {
			s.content = make([]byte, s.Size)
			if _, err := io.ReadFull(f, s.content); err != nil {
				return err
			}
			s.Sum = new(sha256.Sum256(s.content))
		}
	} else {
		info, err := checkStaged(f, s.Size, p.table, path.Dir(s.Name))
		if err != nil {
			return err
		}
		s.new.Rows, s.new.FooterOffset, s.new.Footer, s.new.Statistics = info.Rows, info.Offset, info.Bytes, info.Statistics
	}
	if s.Sum != nil {
		s.new.SHA256 = *s.Sum
	} else if s.new.SHA256, _, err = hash(ctx, f); err != nil {
		return err
	}
	if p.tree() {
		p.describe(s)
	}
	return nil
}

// examineContent is examine for a small file of a files table whose content is known; false is any other.
func (p *publication) examineContent(s *stagedFile) bool {
	if !p.alone() || s.Sum == nil || s.Content == nil || s.Size > smallFile || int64(len(s.Content)) != s.Size {
		return false
	}
	if s.Stat != nil {
		s.stat = *s.Stat
	} else if err := syscall.Lstat(s.Path, &s.stat); err != nil {
		return false
	}
	if s.stat.Mode&syscall.S_IFMT != syscall.S_IFREG || s.stat.Size != s.Size {
		return false
	}
	s.content = s.Content
	s.new = datastore.NewFile{Name: s.Name, Size: s.Size, SHA256: *s.Sum}
	p.describe(s)
	return true
}

// describe says how a file of a files table, whose hash is known, is registered.
func (p *publication) describe(s *stagedFile) {
	s.new.Statistics.Keys = keysOf(p.table.target.Spec.KeyColumns, path.Dir(s.Name))
	s.key = dataset.Key{Size: s.Size, Sum: s.new.SHA256, Ext: dataset.Extension(path.Base(s.Name), p.MaxExtension)}
	s.new.URL = KeyScheme + s.key.String()
}
