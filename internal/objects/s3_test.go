package objects_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"gocloud.dev/blob"

	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/objects"
	"github.com/annexfs/annexfs/internal/objects/objectstest"
)

func TestStore_S3Denied(t *testing.T) {
	url, _ := objectstest.S3(t)
	mustPut(t, open(t, url), "a", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "another")
	s := open(t, url)
	if _, err := s.Put(t.Context(), "b", nil); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Put with a wrong secret: %v, want fs.ErrPermission", err)
	}
	if _, err := s.ReadAll(t.Context(), "a"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("ReadAll with a wrong secret: %v, want fs.ErrPermission", err)
	}
	if _, err := s.Stat(t.Context(), "a"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Stat with a wrong secret: %v, want fs.ErrPermission", err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Check with a wrong secret: %v, want fs.ErrPermission", err)
	}
}

// TestStore_S3NoBucket holds that a bucket that is gone is not taken for objects that are.
func TestStore_S3NoBucket(t *testing.T) {
	url, _ := objectstest.S3(t)
	s := open(t, strings.Replace(url, "s3://", "s3://no-", 1))
	if err := s.Check(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Check: %v, want fs.ErrNotExist", err)
	}
	if _, err := s.ReadAll(t.Context(), "a"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadAll: %v, want an error that is not fs.ErrNotExist", err)
	}
	if _, err := s.Put(t.Context(), "a", nil); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Put: %v, want an error that is not fs.ErrNotExist", err)
	}
	for _, err := range s.List(t.Context(), "", "") {
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("List: %v, want an error that is not fs.ErrNotExist", err)
		}
	}
}

// TestStore_S3Abort holds that a refused or canceled upload leaves no parts behind, which would cost money unseen.
func TestStore_S3Abort(t *testing.T) {
	direct, _ := objectstest.S3(t)
	// The client holds up to 11 parts of 8 MiB, so it has to read on after the first was seen.
	path := writeFile(t, "")
	if err := os.Truncate(path, 97<<20); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := open(t, proxied(t, direct, func([]byte) { cancel() }))
	_, err := s.PutFile(ctx, "a", path, objects.PutOptions{})
	wantCanceled(t, "PutFile", err)
	o := objects.PutOptions{SHA256: [32]byte{1}}
	if _, err := s.PutFile(t.Context(), "a", path, o); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("PutFile with another hash: %v, want fault.ErrCorrupt", err)
	}
	if got := keys(t, s, "", ""); len(got) > 0 {
		t.Errorf("the store has %q, want nothing", got)
	}
	if got := multipartUploads(t, direct); len(got) > 0 {
		t.Errorf("the bucket has incomplete uploads: %v", got)
	}
}

func multipartUploads(t *testing.T, url string) (uploads []string) {
	t.Helper()
	b, err := blob.OpenBucket(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var client *s3.Client
	if !b.As(&client) {
		t.Fatal("the bucket has no S3 client")
	}
	out, err := client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: bucketOf(t, url)})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range out.Uploads {
		uploads = append(uploads, aws.ToString(u.Key))
	}
	return uploads
}

// TestStore_S3Corrupted uploads over TLS through a proxy that changes one byte, which nothing but a hash can notice.
func TestStore_S3Corrupted(t *testing.T) {
	for name, query := range map[string]string{
		"server checks SHA-256":          "",
		"we compare MD5, or read it all": "&request_checksum_calculation=when_required",
	} {
		t.Run(name, func(t *testing.T) {
			direct, _ := objectstest.S3(t)
			var flip atomic.Bool
			s := open(t, proxied(t, direct, func(body []byte) {
				if flip.CompareAndSwap(true, false) {
					body[len(body)/2] ^= 1
				}
			})+query)
			for _, size := range []int{100_000, 17 << 20} {
				content := randomBytes(size)
				path := writeFile(t, string(content))
				for _, o := range []objects.PutOptions{{}, {SHA256: sha256.Sum256(content), Move: true}} {
					flip.Store(true)
					if _, err := s.PutFile(t.Context(), "a", path, o); !errors.Is(err, fault.ErrCorrupt) {
						t.Errorf("PutFile of %d bytes, one of them changed: %v, want fault.ErrCorrupt", size, err)
					}
					if flip.Load() {
						t.Error("the proxy changed nothing")
					}
				}
				if got := keys(t, s, "", ""); len(got) > 0 {
					t.Errorf("the store has %q, want nothing", got)
				}
				if _, err := s.PutFile(t.Context(), "a", path, objects.PutOptions{}); err != nil {
					t.Errorf("PutFile of %d bytes, none changed: %v", size, err)
				}
				if err := s.Delete(t.Context(), "a"); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// proxied is the URL of a TLS proxy before the server of that URL, which shows each large body to see before it sends it.
func proxied(t *testing.T, direct string, see func(body []byte)) string {
	t.Helper()
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	target, err := url.Parse(q.Get("endpoint"))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, r.In.Host
		if r.In.Method != http.MethodPut || r.In.ContentLength < 50_000 {
			return
		}
		body, err := io.ReadAll(r.In.Body)
		if err != nil {
			t.Error(err)
		}
		see(body)
		r.Out.Body = io.NopCloser(bytes.NewReader(body))
	}})
	t.Cleanup(proxy.Close)
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw})
	if err := os.WriteFile(bundle, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	q.Set("endpoint", proxy.URL)
	u.RawQuery = q.Encode()
	return u.String()
}

func bucketOf(t *testing.T, raw string) *string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return aws.String(u.Host)
}
