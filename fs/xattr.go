package fs

import (
	"context"
	"strconv"
	"strings"

	"github.com/annexfs/annexfs/internal/dataset"
)

const xattrPrefix = "user.annexfs."

// xattrList are the extended attributes of one inode, in the order that listxattr gives.
type xattrList []struct{ name, value string }

func (l *xattrList) add(name, value string) {
	if value != "" {
		*l = append(*l, struct{ name, value string }{xattrPrefix + name, value})
	}
}

func (l xattrList) get(name string) (string, bool) {
	for _, x := range l {
		if x.name == name {
			return x.value, true
		}
	}
	return "", false
}

func (l xattrList) names() string {
	var b strings.Builder
	for _, x := range l {
		b.WriteString(x.name)
		b.WriteByte(0)
	}
	return b.String()
}

// xattrs are what annexfs knows of an inode beyond stat. At most one query.
func (t *tree) xattrs(ctx context.Context, ino uint64) (xattrList, error) {
	var l xattrList
	if kindOf(ino) == kindFile {
		return t.fileXattrs(ctx, ino)
	}
	switch n := t.nodes.get(ino).(type) {
	case *blobFile:
		l.add("key", n.key.String())
		l.add("sha256", dataset.Hash(n.key.Sum).String())
	case *manifestFile:
		l.add("sha256", n.info.Hash.String())
	case *versionDir:
		l.add("manifest", n.current().Hash.String())
	case *revisionDir:
		l.add("revision", n.rev.UUID.String())
	}
	return l, nil
}

func (t *tree) fileXattrs(ctx context.Context, ino uint64) (xattrList, error) {
	f, err := t.file(ctx, ino)
	if err != nil {
		return nil, err
	}
	var l xattrList
	l.add("sha256", dataset.Hash(f.SHA256).String())
	if key, ok := keyOf(f); ok {
		l.add("key", key.String())
	} else {
		l.add("rows", strconv.FormatInt(f.Rows, 10))
		l.add("url", t.Objects.URL()+"/"+f.URL)
	}
	l.add("revision", f.Revision.String())
	l.add("etag", f.ETag)
	return l, nil
}
