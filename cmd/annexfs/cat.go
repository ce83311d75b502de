package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/ingest"
	"github.com/annexfs/annexfs/internal/repo"
)

func (a *app) catCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cat TABLE/FILE | KEY",
		Short: "Write a file's content to stdout (default version: @latest)",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if a.json {
				return usage(c, errors.New("a file's content is no JSON document: leave --json out"))
			}
			open, err := parseContent(args[0])
			if err != nil {
				return usage(c, err)
			}
			return a.withRepo(c.Context(), func(r *repo.Repo) error {
				in, size, err := open(c.Context(), r)
				if err != nil {
					return err
				}
				n, err := io.Copy(a.out, in)
				if err == nil && n != size {
					err = fmt.Errorf("%w: %s has %d bytes and should have %d", fault.ErrCorrupt, args[0], n, size)
				}
				return errors.Join(err, in.Close())
			})
		},
	}
}

// opener opens a content and tells its size.
type opener func(context.Context, *repo.Repo) (io.ReadCloser, int64, error)

// parseContent reads a key, which has no slash, or a file of a table.
func parseContent(arg string) (opener, error) {
	if !strings.Contains(arg, "/") {
		key, err := dataset.ParseKey(arg)
		return func(_ context.Context, r *repo.Repo) (io.ReadCloser, int64, error) { return openKey(r, key) }, err
	}
	ref, path, err := dataset.ParseFileRef(arg)
	return func(ctx context.Context, r *repo.Repo) (io.ReadCloser, int64, error) {
		return openFile(ctx, r, ref, path)
	}, err
}

func openKey(r *repo.Repo, key dataset.Key) (io.ReadCloser, int64, error) {
	f, err := r.Files.Open(key)
	if err != nil {
		return nil, 0, err
	}
	return f, key.Size, nil
}

func openFile(ctx context.Context, r *repo.Repo, ref dataset.TableRef, path string) (io.ReadCloser, int64, error) {
	h, err := r.Registry.Resolve(ctx, ref.Reference)
	if err != nil {
		return nil, 0, err
	}
	e, err := r.Data.Lookup(ctx, datastore.Table{Dataset: ref.Reference.ID, Manifest: h, Name: ref.Table}, path)
	if err != nil {
		return nil, 0, err
	}
	if e.Dir {
		return nil, 0, fmt.Errorf("%s/%s is a directory: %w", ref, path, fs.ErrInvalid)
	}
	f, err := r.Data.File(ctx, e.ID)
	if err != nil {
		return nil, 0, err
	}
	in, err := openContent(ctx, r, f)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: the content of %s/%s is gone from its store: %w", fault.ErrCorrupt, ref, path, err)
	}
	return in, f.Size, err
}

func openContent(ctx context.Context, r *repo.Repo, f datastore.File) (io.ReadCloser, error) {
	if text, ok := strings.CutPrefix(f.URL, ingest.KeyScheme); ok {
		key, err := dataset.ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", fault.ErrCorrupt, err)
		}
		return r.Files.Open(key)
	}
	if path, ok := r.Objects.LocalPath(f.URL); ok {
		return os.Open(path)
	}
	return r.Objects.NewRangeReader(ctx, f.URL, 0, -1)
}
