package objects

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // it is what stores know; it guards against accidents only
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	tmtypes "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/annexfs/annexfs/internal/fault"
)

// abortTime is what an upload to S3 gets for the parts in flight and for removing all after its context ended.
const abortTime = 30 * time.Second

// bucket keeps objects in a bucket of gocloud.dev/blob.
type bucket struct {
	bucket *blob.Bucket
	s3     bool
	// checksums says that the server gets a SHA-256 with everything we send, and refuses what does not have it.
	checksums bool
}

func (b *bucket) check(ctx context.Context) error {
	ok, err := b.bucket.IsAccessible(ctx)
	if err == nil && !ok {
		return fs.ErrNotExist
	}
	return translate(err)
}

func (b *bucket) close() error { return translate(b.bucket.Close()) }

// put is for content that many may replace at a time, so what is there afterwards cannot be judged.
func (b *bucket) put(ctx context.Context, key string, data []byte) (Info, error) {
	o := b.writerOptions(int64(len(data)))
	if !b.checksums {
		sum := md5.Sum(data) //nolint:gosec // see above
		o.ContentMD5 = sum[:]
	}
	if err := b.bucket.WriteAll(ctx, key, data, o); err != nil {
		return Info{}, translate(err)
	}
	return b.stat(ctx, key)
}

func (b *bucket) putFile(ctx context.Context, key string, src source, o PutOptions) (Info, bool, error) {
	uploading, cancel := b.uploadContext(ctx)
	defer cancel()
	sent := &sentContent{ctx: ctx, r: src.File, size: src.info.Size(), want: o.SHA256, sha: sha256.New()}
	if !b.s3 {
		sent.abort = cancel
	}
	if !b.checksums {
		sent.md5 = md5.New() //nolint:gosec // see above
	}
	err := b.bucket.Upload(uploading, key, sent, b.writerOptions(sent.size))
	if sent.err != nil {
		return Info{}, false, sent.err
	}
	if err != nil {
		return Info{}, false, translate(err)
	}
	info, err := b.verify(ctx, key, sent)
	if errors.Is(err, fault.ErrCorrupt) {
		err = errors.Join(err, b.remove(context.WithoutCancel(ctx), key))
	}
	return info, false, err
}

// uploadContext lets an upload to S3 outlive ctx for a while: to remove the parts that it has sent the client needs a
// context that is not canceled, and a reader that fails.
func (b *bucket) uploadContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if !b.s3 {
		return context.WithCancel(ctx)
	}
	uploading, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(abortTime, cancel) })
	return uploading, func() {
		stop()
		cancel()
	}
}

func (b *bucket) writerOptions(size int64) *blob.WriterOptions {
	return &blob.WriterOptions{
		ContentType: "application/octet-stream",
		BeforeWrite: func(as func(any) bool) error {
			var in *transfermanager.UploadObjectInput
			if !as(&in) {
				return nil
			}
			in.ContentLength = aws.Int64(size) // sizes the parts: there may be 10,000
			if b.checksums {
				in.ChecksumAlgorithm = tmtypes.ChecksumAlgorithmSha256
			}
			return nil
		},
	}
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
	ctx   context.Context // of the caller
	r     io.Reader
	abort func() // cancels the upload: to gocloud a failing reader is one that has ended; nil for S3, which knows better
	size  int64
	want  [32]byte // zero is no promise
	sha   hash.Hash
	md5   hash.Hash // nil where nobody asks for it
	n     int64
	err   error
}

func (s *sentContent) Read(p []byte) (int, error) {
	n, err := 0, s.ctx.Err()
	if err == nil {
		n, err = s.r.Read(p)
	}
	s.n += int64(n)
	s.sha.Write(p[:n])
	if s.md5 != nil {
		s.md5.Write(p[:n])
	}
	ended := errors.Is(err, io.EOF)
	if ended {
		err = s.check()
	}
	if err != nil {
		s.err = err
		if s.abort != nil {
			s.abort()
		}
	} else if ended {
		err = io.EOF
	}
	return n, err
}

// check judges what was read.
func (s *sentContent) check() error {
	if s.n != s.size {
		return fmt.Errorf("%w: the file had %d bytes and now has %d", fault.ErrCorrupt, s.size, s.n)
	}
	if s.want == [32]byte{} {
		return nil
	}
	return checkHash(s.sha, s.want)
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
