package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/durable"
)

// intentDir is below the staging directory.
const intentDir = "journal"

// intent is what a commit is about to do: enough to finish or to undo it. It is on disk before the first byte moves.
type intent struct {
	path string      // of its file; "" where there is none
	kept *spoolEntry // instead of a file, of a small file

	Namespace dataset.Namespace `json:"namespace"`
	Name      dataset.Name      `json:"name"`
	Manifest  dataset.Hash      `json:"manifest"`
	Table     dataset.TableName `json:"table"`
	Revision  uuid.UUID         `json:"revision"`
	Replace   bool              `json:"replace,omitempty"`
	Early     bool              `json:"early,omitempty"` // it may have been acknowledged before it was committed
	Files     []intended        `json:"files"`
}

// intended is a file whose bytes are about to move.
type intended struct {
	Staged string       `json:"staged"` // relative to the staging directory
	Name   string       `json:"name"`   // of its row
	URL    string       `json:"url"`    // of its row
	Size   int64        `json:"size"`
	SHA256 dataset.Hash `json:"sha256"`
	Mode   uint32       `json:"mode"`
	UID    int          `json:"uid"`
	GID    int          `json:"gid"`
	MTime  int64        `json:"mtime,omitempty"` // in nanoseconds since the epoch

	Keys map[string]string `json:"keys,omitempty"` // of its row
}

func (in *intent) table() datastore.Table {
	return datastore.Table{Dataset: dataset.ID{Namespace: in.Namespace, Name: in.Name}, Manifest: in.Manifest, Name: in.Table}
}

// record makes durable what is about to happen, and of a small file of a files table that comes by itself the content too.
func (p *publication) record(ctx context.Context) error {
	t := p.table.target.Table
	p.intent = &intent{
		Namespace: t.Dataset.Namespace, Name: t.Dataset.Name, Manifest: t.Manifest, Table: t.Name,
		Revision: p.rev.UUID, Replace: p.batch.Replace, Early: p.early,
	}
	for n := range p.files {
		s := &p.files[n]
		if !s.stored() {
			continue
		}
		staged, err := filepath.Rel(p.Staging, s.Path)
		if err != nil {
			return err
		}
		p.intent.Files = append(p.intent.Files, intended{
			Staged: staged, Name: s.new.Name, URL: s.new.URL, Size: s.Size, SHA256: s.new.SHA256,
			Mode: s.stat.Mode & 0o7777, UID: int(s.stat.Uid), GID: int(s.stat.Gid), MTime: s.stat.Mtim.Nano(),
			Keys: s.new.Statistics.Keys,
		})
	}
	switch {
	case len(p.intent.Files) == 0:
		return nil
	case p.alone() && p.files[0].content != nil:
		return p.keep(ctx, &p.files[0])
	}
	return p.intent.write(filepath.Join(p.Staging, intentDir))
}

func (in *intent) write(dir string) error {
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, uuid.NewString()+".json"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := durable.SyncDir(filepath.Dir(dir)); err != nil {
			return err
		}
		return in.write(dir)
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	in.path = f.Name()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = durable.SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("journal: %w", errors.Join(err, os.Remove(in.path)))
	}
	return nil
}

// leave says that this commit no longer needs the record, done or not.
func (in *intent) leave() {
	if in.kept != nil {
		in.kept.leave()
	}
}

// remove says that nothing is left to be done. A journal that stays is found to be done when it is looked at again.
func (in *intent) remove(ctx context.Context, log *slog.Logger) {
	in.kept.done()
	if in.path == "" {
		return
	}
	if err := os.Remove(in.path); err != nil {
		log.WarnContext(ctx, "a journal stays behind", "path", in.path, "err", err)
	}
	in.path = ""
}

// readIntent returns nil for one that was never finished, so that nothing happened after it.
func readIntent(path string) (*intent, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	in := &intent{path: path}
	if err := json.Unmarshal(data, in); err != nil {
		return nil, nil //nolint:nilerr,nilnil // it was never finished
	}
	return in, nil
}

// registered asks whether the files of an intent have their rows: all or none of them do.
func (i *Ingester) registered(ctx context.Context, in *intent) (bool, error) {
	rev, err := i.Data.Revision(ctx, in.table(), in.Revision)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	f := in.Files[0]
	e, err := i.Data.LookupIn(ctx, rev.ID, f.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || e.Dir {
		return false, err
	}
	row, err := i.Data.File(ctx, e.ID)
	return err == nil && row.URL == f.URL && row.SHA256 == f.SHA256, err
}

// undo brings the staged files back after cause, which it returns.
func (p *publication) undo(ctx context.Context, cause error) error {
	if err := p.undoIntent(ctx, p.intent, false); err != nil {
		return errors.Join(cause, fmt.Errorf("its bytes are still in the store: %w", err))
	}
	p.intent.remove(ctx, p.Logger)
	return cause
}

// settleLost finds out whether files were registered when the database gave no answer. Where it gives none now, the
// bytes stay where they are as well as in staging, and the journal stays for the next start.
func (p *publication) settleLost(ctx context.Context, cause error) ([]datastore.Registered, error) {
	deadline := time.Now().Add(answerWait)
	for {
		rows, err := p.rows(ctx)
		switch {
		case err == nil:
			p.Logger.WarnContext(ctx, "a commit whose answer was lost took place", "err", cause)
			p.shared.addExisting(rows)
			return rows, nil
		case errors.Is(err, fs.ErrNotExist):
			return nil, p.undo(ctx, cause)
		case time.Now().After(deadline):
			return nil, errors.Join(cause, p.undoIntent(ctx, p.intent, true))
		}
		time.Sleep(lockRetry)
	}
}

// rows asks for the rows of what was registered; fs.ErrNotExist where it was not.
func (p *publication) rows(ctx context.Context) ([]datastore.Registered, error) {
	rev, err := p.Data.Revision(ctx, p.table.target.Table, p.rev.UUID)
	if err != nil {
		return nil, err
	}
	var rows []datastore.Registered
	for n := range p.files {
		s := &p.files[n]
		if s.existing.ID != 0 {
			continue
		}
		find := func() (datastore.File, error) { return p.Data.Content(ctx, rev.ID, s.new.SHA256) }
		if p.tree() {
			find = func() (datastore.File, error) {
				e, err := p.Data.LookupIn(ctx, rev.ID, s.new.Name)
				if err != nil {
					return datastore.File{}, err
				}
				return p.Data.File(ctx, e.ID)
			}
		}
		f, err := find()
		if err != nil {
			return nil, err
		}
		if f.SHA256 != s.new.SHA256 {
			return nil, other(f.Entry)
		}
		rows = append(rows, datastore.Registered{ID: f.ID, Name: f.Path, Existing: f.URL != s.new.URL})
	}
	return rows, nil
}

// answerWait is how long a commit asks what became of it.
const answerWait = 5 * time.Second

// undoIntent brings back the staged files of a commit that did not take place. With keep the stores are left as they are,
// because it may have taken place after all.
func (i *Ingester) undoIntent(ctx context.Context, in *intent, keep bool) error {
	var errs []error
	for _, f := range in.Files {
		if err := i.undoFile(ctx, in.table(), f, keep); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.Staged, err))
		}
	}
	return errors.Join(errs...)
}

func (i *Ingester) undoFile(ctx context.Context, t datastore.Table, f intended, keep bool) error {
	staged := filepath.Join(i.Staging, f.Staged)
	_, err := os.Lstat(staged)
	there := err == nil
	switch {
	case there:
		err = f.restore(staged)
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err != nil {
		return err
	}
	if keep || strings.HasPrefix(f.URL, KeyScheme) { // somebody else may have found it in the file store
		if there {
			return nil
		}
		return i.copyBack(ctx, f, staged)
	}
	if named, err := i.Data.Named(ctx, t, f.URL); err != nil || named {
		return err
	}
	path, local := i.Objects.LocalPath(f.URL)
	if there || !local {
		return i.Objects.Delete(ctx, f.URL)
	}
	// Where it was never there the user has removed what was staged.
	return ignore(f.moveBack(path, staged), unix.ENOENT)
}

// moveBack stages a file again that was moved away.
func (f *intended) moveBack(from, staged string) error {
	if err := makeParent(staged); err != nil {
		return err
	}
	if err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, staged, unix.RENAME_NOREPLACE); err != nil {
		return err
	}
	return f.restore(staged)
}

// copyBack makes a staged file again of what lies in a store.
func (i *Ingester) copyBack(ctx context.Context, f intended, staged string) error {
	content, err := i.open(ctx, Published{URL: f.URL})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer content.Close()
	if err := makeParent(staged); err != nil {
		return err
	}
	return i.copyTo(ctx, content, f, staged)
}

// restore gives a staged file the owner, mode and time that it had.
func (f *intended) restore(staged string) error {
	if f.MTime != 0 {
		if err := os.Chtimes(staged, time.Time{}, time.Unix(0, f.MTime)); err != nil {
			return err
		}
	}
	if os.Geteuid() == 0 {
		if err := os.Lchown(staged, f.UID, f.GID); err != nil {
			return err
		}
	}
	return unix.Chmod(staged, f.Mode)
}

func makeParent(path string) error { return os.MkdirAll(filepath.Dir(path), 0o755) }
