package objects

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/gcsblob"   // gs://
	_ "gocloud.dev/blob/memblob"   // mem://
	_ "gocloud.dev/blob/s3blob"    // s3://
)

const wantURL = "want file:///absolute/directory, s3://bucket[/prefix][?options], gs://bucket[/prefix], " +
	"azblob://container[/prefix] or mem://"

func openDriver(ctx context.Context, raw string) (driver, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; %s", fs.ErrInvalid, err, wantURL)
	}
	if u.User != nil {
		return nil, fmt.Errorf("%w: %s: credentials do not belong in the URL", fs.ErrInvalid, u.Redacted())
	}
	switch {
	case u.Scheme == "file":
		if u.Host != "" && u.Host != "localhost" || !filepath.IsAbs(u.Path) || u.RawQuery != "" {
			return nil, fmt.Errorf("%w: %q; %s", fs.ErrInvalid, raw, wantURL)
		}
		return openLocal(filepath.Clean(u.Path))
	case u.Scheme == "mem" && u.Host == "" && u.Path == "" && u.Opaque == "":
		return openBucket(ctx, u, "")
	case u.Scheme == "s3" && u.Host != "", u.Scheme == "gs" && u.Host != "", u.Scheme == "azblob" && u.Host != "":
		prefix := strings.Trim(u.Path, "/")
		u.Path = ""
		return openBucket(ctx, u, prefix)
	}
	return nil, fmt.Errorf("%w: %q; %s", fs.ErrInvalid, raw, wantURL)
}

func openBucket(ctx context.Context, u *url.URL, prefix string) (driver, error) {
	if prefix != "" {
		if err := checkKey(prefix); err != nil {
			return nil, fmt.Errorf("prefix %q: %w", prefix, err)
		}
	}
	b := &bucket{s3: u.Scheme == "s3"}
	if b.s3 {
		b.checksums = s3Defaults(u)
	}
	opened, err := blob.OpenBucket(ctx, u.String())
	if err != nil {
		return nil, errors.New(message(err))
	}
	if prefix != "" {
		opened = blob.PrefixedBucket(opened, prefix+"/")
	}
	b.bucket = opened
	return b, nil
}

// s3Defaults fills in what another server than Amazon's wants, and reports whether the server is to check SHA-256.
func s3Defaults(u *url.URL) (checksums bool) {
	q := u.Query()
	set := func(name, value string) {
		if !q.Has(name) {
			q.Set(name, value)
		}
	}
	if q.Has("endpoint") {
		if !q.Has("s3ForcePathStyle") {
			set("use_path_style", "true")
		}
		if os.Getenv("AWS_REGION") == "" && os.Getenv("AWS_DEFAULT_REGION") == "" && !q.Has("profile") {
			set("region", "us-east-1")
		}
	}
	// Ranges have no checksum, and the client logs a warning for each of them when it looks for one.
	set("response_checksum_validation", "when_required")
	u.RawQuery = q.Encode()
	const request = "request_checksum_calculation"
	if q.Has(request) {
		return !strings.EqualFold(q.Get(request), "when_required")
	}
	return !strings.EqualFold(os.Getenv("AWS_REQUEST_CHECKSUM_CALCULATION"), "when_required")
}
