package objects

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // what stores have, not what we trust
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	tmtypes "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/annexfs/annexfs/internal/fault"
)

// bucket keeps objects in a bucket of gocloud.dev/blob.
type bucket struct {
	bucket *blob.Bucket
	// checksums says that the server gets a SHA-256 with everything we send, and refuses what does not have it.
	checksums bool
}

func (b *bucket) check(ctx context.Context) error {
	ok, err := b.bucket.IsAccessible(ctx)
	if err == nil && !ok {
		err = fs.ErrNotExist
	}
	return translate(err)
}

func (b *bucket) close() error { return translate(b.bucket.Close()) }

func (b *bucket) put(ctx context.Context, key string, data []byte) (Info, error) {
	return b.upload(ctx, key, bytes.NewReader(data), int64(len(data)), sha256.Sum256(data))
}

func (b *bucket) putFile(ctx context.Context, key string, src source, o PutOptions) (Info, bool, error) {
	info, err := b.upload(ctx, key, src.File, src.info.Size(), o.SHA256)
	return info, false, err
}

// upload sends what r has and believes it to be there when the store's own words agree with what was read.
func (b *bucket) upload(ctx context.Context, key string, r io.Reader, size int64, sum [32]byte) (Info, error) {
	sent := &sentContent{r: r, size: size, want: sum, sha: sha256.New(), md5: md5.New()}
	if b.checksums {
		sent.md5 = nil
	}
	err := b.bucket.Upload(ctx, key, sent, &blob.WriterOptions{
		ContentType: "application/octet-stream",
		BeforeWrite: func(as func(any) bool) error {
			var in *transfermanager.UploadObjectInput
			if b.checksums && as(&in) {
				in.ChecksumAlgorithm = tmtypes.ChecksumAlgorithmSha256
			}
			if as(&in) {
				in.ContentLength = aws.Int64(size) // sizes the parts: there may be 10,000
			}
			return nil
		},
	})
	if sent.err != nil {
		return Info{}, sent.err
	}
	if err != nil {
		return Info{}, translate(err)
	}
	info, err := b.verify(ctx, key, sent)
	if errors.Is(err, fault.ErrCorrupt) {
		err = errors.Join(err, b.remove(context.WithoutCancel(ctx), key))
	}
	return info, err
}

// verify compares the stored object with what was sent: by size always, and where the server did not check the hash
// by MD5, or by reading it again where the store knows none.
func (b *bucket) verify(ctx context.Context, key string, sent *sentContent) (Info, error) {
	attrs, err := b.bucket.Attributes(ctx, key)
	if err != nil {
		return Info{}, translate(err)
	}
	info := attributesInfo(key, attrs)
	switch {
	case info.Size != sent.size:
		return Info{}, fmt.Errorf("%w: sent %d bytes, the store has %d", fault.ErrCorrupt, sent.size, info.Size)
	case b.checksums:
		return info, nil
	case len(attrs.MD5) == md5.Size:
		if got := sent.md5.Sum(nil); !bytes.Equal(got, attrs.MD5) {
			return Info{}, fmt.Errorf("%w: sent MD5 %x, the store has %x", fault.ErrCorrupt, got, attrs.MD5)
		}
		return info, nil
	}
	r, err := b.open(ctx, key, 0, -1)
	if err != nil {
		return Info{}, err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return Info{}, err
	}
	return info, checkHash(h, [32]byte(sent.sha.Sum(nil)))
}

func (b *bucket) stat(ctx context.Context, key string) (Info, error) {
	attrs, err := b.bucket.Attributes(ctx, key)
	if err != nil {
		return Info{}, translate(err)
	}
	return attributesInfo(key, attrs), nil
}

func (b *bucket) open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if length == 0 {
		_, err := b.stat(ctx, key)
		return emptyReader(), err
	}
	r, err := b.bucket.NewRangeReader(ctx, key, offset, length, nil)
	if err == nil {
		return &bucketReader{r}, nil
	}
	// Stores refuse a range that begins at the end or behind it, each in its own words; an empty object has no other.
	if info, statErr := b.stat(ctx, key); statErr == nil && offset >= info.Size {
		return emptyReader(), nil
	}
	return nil, translate(err)
}

func (b *bucket) remove(ctx context.Context, key string) error {
	err := b.bucket.Delete(ctx, key)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil
	}
	return translate(err)
}

func (b *bucket) list(ctx context.Context, prefix, delimiter string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		it := b.bucket.List(&blob.ListOptions{Prefix: prefix, Delimiter: delimiter})
		for {
			o, err := it.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Info{}, translate(err))
				return
			}
			info := Info{Key: o.Key, Size: o.Size, ModTime: o.ModTime, Dir: o.IsDir}
			var object s3types.Object
			if !o.IsDir && o.As(&object) {
				info.ETag = unquote(aws.ToString(object.ETag))
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}

func attributesInfo(key string, a *blob.Attributes) Info {
	info := Info{Key: key, Size: a.Size, ETag: unquote(a.ETag), ModTime: a.ModTime}
	var head s3.HeadObjectOutput
	if a.As(&head) {
		info.Version = aws.ToString(head.VersionId)
	}
	return info
}

func unquote(etag string) string { return strings.Trim(etag, `"`) }

// sentContent hashes what is read through it, and fails at the end when that is not what was promised, before the
// store is told that the object is complete.
type sentContent struct {
	r    io.Reader
	size int64
	want [32]byte // zero is no promise
	sha  hash.Hash
	md5  hash.Hash // nil where nobody asks for it
	n    int64
	err  error
}

func (s *sentContent) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	s.sha.Write(p[:n])
	if s.md5 != nil {
		s.md5.Write(p[:n])
	}
	if errors.Is(err, io.EOF) {
		err = s.end()
	} else if err != nil {
		s.err = err
	}
	return n, err
}

func (s *sentContent) end() error {
	switch {
	case s.n != s.size:
		s.err = fmt.Errorf("%w: the file had %d bytes and now has %d", fault.ErrCorrupt, s.size, s.n)
	case s.want != [32]byte{}:
		s.err = checkHash(s.sha, s.want)
	}
	if s.err != nil {
		return s.err
	}
	return io.EOF
}

// bucketReader translates the errors of a read.
type bucketReader struct{ *blob.Reader }

func (r *bucketReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = translate(err)
	}
	return n, err
}

func emptyReader() io.ReadCloser { return io.NopCloser(bytes.NewReader(nil)) }
