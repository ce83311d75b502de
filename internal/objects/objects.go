// Package objects is the object store: small and large immutable blobs under slash-separated keys, in a directory of
// this machine or in a bucket. It owns how an object becomes durable and whole before anybody can see it.
//
// # URLs
//
// A store is named by a URL:
//
//	file:///srv/objects            a directory that exists; the path is absolute
//	s3://bucket/prefix?…           Amazon S3 and what speaks its protocol (MinIO, versitygw, Ceph, R2, …)
//	gs://bucket/prefix             Google Cloud Storage
//	azblob://container/prefix      Azure Blob Storage
//	mem://                         memory: a store of its own per Open, for tests
//
// The prefix may be left out. Credentials never stand in a URL: they come the way each cloud's own tools find them
// (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, an instance's role, …).
//
// Options of s3:
//
//	region=eu-central-1                         default: AWS_REGION, then the profile's; with an endpoint: us-east-1
//	endpoint=http://127.0.0.1:9000              another server than Amazon's
//	use_path_style=true|false                   bucket in the path instead of in the host; default: true with an endpoint
//	profile=NAME, anonymous=true, role=ARN      which credentials
//	ssetype=AES256|aws:kms, kmskeyid=ID         encryption at rest
//	request_checksum_calculation=when_required  for a server that refuses x-amz-checksum-*: uploads are then checked
//	                                            by MD5, or read back
//
// An upload that is killed can leave parts in an S3 bucket that cost money and are not listed: let a lifecycle rule of
// the bucket remove incomplete uploads after some days.
//
// Keys are made of the characters A-Z a-z 0-9 - _ . = + @ between slashes, so that each store and each tool means
// the same by them. A key that is the directory of another one works in a bucket and not in a directory: do not.
package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/annexfs/annexfs/internal/durable"
)

// Info describes an object as the store has it.
type Info struct {
	// Key names the object; of a common prefix it ends in a slash.
	Key string
	// Size is its length in bytes.
	Size int64
	// ETag changes when the content does, and is the store's own word without quotes; of a local file it is made of
	// size and modification time. A listing leaves it empty where the store does not tell it there.
	ETag string
	// Version is the version id in an S3 bucket with versions, else empty.
	Version string
	// ModTime is when the object was written.
	ModTime time.Time
	// Dir says that this is a common prefix of a listing with a delimiter and not an object.
	Dir bool
}

// PutOptions say how PutFile treats its source.
type PutOptions struct {
	// Move removes the source after the object is durable.
	Move bool
	// SHA256 is the source's hash, zero when it is not known. Whatever is copied or sent is checked against it.
	SHA256 [32]byte
}

// Store is an open object store. Its methods may be called concurrently. A missing object is fs.ErrNotExist, a key
// that breaks the rules of the package comment fs.ErrInvalid, missing rights fs.ErrPermission, and content that did
// not arrive as it was sent fault.ErrCorrupt.
type Store struct {
	url    string
	driver driver
}

// driver is one kind of store. Its errors are translated already.
type driver interface {
	check(ctx context.Context) error
	put(ctx context.Context, key string, data []byte) (Info, error)
	// putFile stores src, and reports whether it moved it away from o.
	putFile(ctx context.Context, key string, src source, o PutOptions) (info Info, moved bool, err error)
	stat(ctx context.Context, key string) (Info, error)
	open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	remove(ctx context.Context, key string) error
	list(ctx context.Context, prefix, delimiter string) iter.Seq2[Info, error]
	close() error
}

// source is a regular file that is open for reading.
type source struct {
	*os.File
	path string
	info os.FileInfo
}

// Open opens the store of that URL (see the package comment). It sends nothing: ask Check whether the store can be
// reached. A directory has to exist, so that a disk that is not mounted is not taken for an empty store.
func Open(ctx context.Context, url string) (*Store, error) {
	d, err := openDriver(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open object store: %w", err)
	}
	return &Store{url: url, driver: d}, nil
}

// Close ends the store. Calls that are running fail.
func (s *Store) Close() error { return s.driver.close() }

// URL is what Open was given.
func (s *Store) URL() string { return s.url }

// Check asks the store whether it is there and lets us in.
func (s *Store) Check(ctx context.Context) error {
	if err := s.driver.check(ctx); err != nil {
		return fmt.Errorf("object store %s: %w", s.url, err)
	}
	return nil
}

// LocalPath tells the path of an object's file, whether it is there or not. It is false where objects are not files
// of this machine, and for a key that breaks the rules.
func (s *Store) LocalPath(key string) (path string, ok bool) {
	l, ok := s.driver.(*local)
	if !ok || checkKey(key) != nil {
		return "", false
	}
	return l.tree.Path(key), true
}

// Dir tells the directory that all objects lie in. It is false where objects are not files of this machine.
func (s *Store) Dir() (dir string, ok bool) {
	l, ok := s.driver.(*local)
	if !ok {
		return "", false
	}
	return l.tree.Root(), true
}

// Put stores data under key, replacing what is there. Readers see the old content or the new one, whole. When it
// returns without an error the object is durable.
func (s *Store) Put(ctx context.Context, key string, data []byte) (Info, error) {
	if err := begin(ctx, key); err != nil {
		return Info{}, fail("put", key, err)
	}
	info, err := s.driver.put(ctx, key, data)
	return info, fail("put", key, err)
}

// PutFile stores the content of the regular file at path under key, as Put does.
//
// With Move the source is removed, after the object is durable and never before. A directory on the same file system
// takes the file itself by renaming it, without reading it: SHA256 is then the caller's word. It copies instead when
// the source has other names, by which it could still change. A symbolic link cannot be moved (fs.ErrInvalid).
//
// A source that does not have the given SHA256 is fault.ErrCorrupt, and nothing is stored. Only one may put a file
// under a key at a time: what another one stores there meanwhile is taken for a corrupt upload.
func (s *Store) PutFile(ctx context.Context, key, path string, o PutOptions) (Info, error) {
	if err := begin(ctx, key); err != nil {
		return Info{}, fail("put", key, err)
	}
	f, info, err := durable.OpenRegular(path, o.Move)
	if err != nil {
		return Info{}, fail("put", key, err)
	}
	defer f.Close()
	stored, moved, err := s.driver.putFile(ctx, key, source{File: f, path: path, info: info}, o)
	if err == nil && o.Move && !moved {
		err = os.Remove(path)
	}
	return stored, fail("put", key, err)
}

// Stat describes the object.
func (s *Store) Stat(ctx context.Context, key string) (Info, error) {
	if err := begin(ctx, key); err != nil {
		return Info{}, fail("stat", key, err)
	}
	info, err := s.driver.stat(ctx, key)
	return info, fail("stat", key, err)
}

// ReadAll reads the whole object into memory.
func (s *Store) ReadAll(ctx context.Context, key string) ([]byte, error) {
	r, err := s.NewRangeReader(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fail("read", key, err)
	}
	return data, nil
}

// NewRangeReader reads length bytes from offset, or all that follows when length is negative. What lies beyond the
// object's end is left out, so that the reader may be empty. Ending ctx ends the reader. The caller closes it.
func (s *Store) NewRangeReader(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := begin(ctx, key); err != nil {
		return nil, fail("read", key, err)
	}
	if offset < 0 {
		return nil, fail("read", key, fmt.Errorf("%w: negative offset %d", os.ErrInvalid, offset))
	}
	r, err := s.driver.open(ctx, key, offset, length)
	return r, fail("read", key, err)
}

// Delete removes the object, durably. A missing one is no error.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := begin(ctx, key); err != nil {
		return fail("delete", key, err)
	}
	return fail("delete", key, s.driver.remove(ctx, key))
}

// List yields the objects whose key begins with prefix, in the order of their keys' bytes, while it asks for them.
// The delimiter is "" or "/": with "/" keys that have a slash behind the prefix are yielded once per common prefix,
// as Infos with Dir. Unfinished and left-over files are not objects. A prefix without objects yields nothing. An
// error ends the listing.
func (s *Store) List(ctx context.Context, prefix, delimiter string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		err := ctx.Err()
		if err == nil {
			err = checkList(prefix, delimiter)
		}
		if err != nil {
			yield(Info{}, fail("list", prefix, err))
			return
		}
		for info, err := range s.driver.list(ctx, prefix, delimiter) {
			if !yield(info, fail("list", prefix, err)) || err != nil {
				return
			}
		}
	}
}

// StatFS tells the bytes of the file system that holds the objects and how many of them we may still write. It is
// false for a bucket, which does not know.
func (s *Store) StatFS() (total, free uint64, ok bool) {
	l, ok := s.driver.(*local)
	if !ok {
		return 0, 0, false
	}
	return l.statFS()
}

func begin(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return checkKey(key)
}
