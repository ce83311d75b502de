package staging

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

const (
	errorSuffix = ".error"
	// reportHead begins every report, and tells it from a file of the user's with such a name.
	reportHead = "annexfs: not published: "
)

// refuse tells of a verdict: the errno to the program, the reason to the log and to <file>.error.
func (t *Tree) refuse(n *node, err error) fuse.Status {
	names, ok := t.nodes.names(n)
	errno, advice := verdict(err)
	if ok {
		t.report(names, errno, advice, err)
	}
	return fuse.Status(errno)
}

// refuseName is refuse for what has no node.
func (t *Tree) refuseName(parent *node, name string, err error) fuse.Status {
	names, ok := t.nodes.names(parent, name)
	errno, advice := verdict(err)
	if ok {
		t.report(names, errno, advice, err)
	}
	return fuse.Status(errno)
}

// returned tells of a file that is staged again though close has answered that it was published.
func (t *Tree) returned(path string, why error) {
	rel, err := filepath.Rel(t.dir, path)
	if err != nil {
		return
	}
	names := strings.Split(rel, string(filepath.Separator))
	t.nodes.dropPath(names) // its ghost
	errno, advice := verdict(why)
	t.report(names, errno, advice, fmt.Errorf("it was acknowledged, and then it could not be published: %w", why))
}

func (t *Tree) report(names []string, errno syscall.Errno, advice string, err error) {
	t.log.Warn("staged file refused", "file", strings.Join(names, "/"), "errno", errno.Error(), "error", err)
	if len(names) < depthTable {
		return
	}
	text := fmt.Sprintf("%s%s\n\nWhy: %v (%s).\n", reportHead, names[len(names)-1], err, errno)
	if advice != "" {
		text += "What to do: " + advice + "\n"
	}
	t.shape.RLock()
	defer t.shape.RUnlock()
	if err := t.writeReport(t.reportPath(names), text); err != nil {
		t.log.Warn("writing the report of a refusal", "file", strings.Join(names, "/")+errorSuffix, "error", err)
	}
}

func (t *Tree) reportPath(names []string) string {
	return filepath.Join(append([]string{t.dir}, names...)...) + errorSuffix
}

// writeReport replaces a report and nothing else. Nobody sees half of one.
func (t *Tree) writeReport(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(t.dir), "report-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, setOwnerAndMode(f, 0o444, t.owner), f.Close()); err == nil {
		flags := uint(unix.RENAME_NOREPLACE)
		if isReport(path) {
			flags = 0
		}
		err = unix.Renameat2(unix.AT_FDCWD, f.Name(), unix.AT_FDCWD, path, flags)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the other error is the one to tell
	}
	return err
}

func startsReport(r io.ReaderAt) bool {
	head := make([]byte, len(reportHead))
	n, _ := r.ReadAt(head, 0) // a short file is no report
	return string(head[:n]) == reportHead
}

// isReport tells of a path whether it is a report.
func isReport(path string) bool {
	if !strings.HasSuffix(path, errorSuffix) {
		return false
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return startsReport(f)
}

// clearReport removes the report of a file that is published now, or of a name below n.
func (t *Tree) clearReport(n *node, more ...string) {
	t.shape.RLock()
	defer t.shape.RUnlock()
	if names, ok := t.nodes.names(n, more...); ok {
		if path := t.reportPath(names); isReport(path) {
			_ = os.Remove(path) // one that stays is wrong, and harmless
		}
	}
}
