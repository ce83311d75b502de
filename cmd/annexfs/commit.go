package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/fs/staging"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/repo"
)

func (a *app) commitCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "commit TABLE BATCH",
		Short: "Publish a batch that is staged, as creating _SUCCESS in it does",
		Long: "Publish a batch that is staged for a table: a directory below its replace or append. It is what creating _SUCCESS in\n" +
			"the directory does, for programs that create none (Spark's dynamic partition overwrite). It needs no mount.",
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			ref, err := dataset.ParseTableRef(args[0])
			if err != nil {
				return usage(c, err)
			}
			return a.withRepo(c.Context(), func(r *repo.Repo) error {
				batch, err := staging.FindBatch(r.StagingDir(), ref, strings.Trim(args[1], "/"))
				if errors.Is(err, os.ErrInvalid) {
					return usage(c, err)
				}
				if err != nil {
					return err
				}
				if err := a.commit(c.Context(), r, batch); err != nil {
					return err
				}
				return a.done(struct {
					Table string `json:"table"`
					Batch string `json:"batch"`
				}{ref.String(), batch}, "committed %s", batch)
			})
		},
	}
}

// commit works on the staging directory itself, unless a mount has it: then through that.
func (a *app) commit(ctx context.Context, r *repo.Repo, batch string) (err error) {
	lock, err := staging.Hold(r.StagingDir())
	if errors.Is(err, fault.ErrConflict) {
		return a.commitThroughMount(r, batch, err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	publisher := ingester(r, a)
	defer func() { err = errors.Join(err, publisher.Close(context.WithoutCancel(ctx))) }()
	tree, err := staging.New(ctx, staging.Options{
		Dir: r.StagingDir(), Publisher: publisher, Logger: a.logger(slog.LevelError), UID: uint32(os.Getuid()), GID: uint32(os.Getgid()),
	})
	if err != nil {
		return err
	}
	defer tree.Close()
	return tree.CommitBatch(ctx, batch)
}

// commitThroughMount creates _SUCCESS in the mount that has the staging directory.
func (a *app) commitThroughMount(r *repo.Repo, batch string, held error) error {
	mounts, err := readRecords(r.RunDir())
	if err != nil {
		return err
	}
	for _, m := range mounts {
		dir := filepath.Join(m.Mountpoint, ".annexfs", "staging", filepath.FromSlash(batch))
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			continue
		}
		mark := filepath.Join(dir, "_SUCCESS")
		if err := os.Remove(mark); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		f, err := os.OpenFile(mark, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err == nil {
			return f.Close()
		}
		if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) {
			err = fmt.Errorf("%w: %w", fault.ErrConflict, err)
		}
		if reason := staging.Reason(r.StagingDir(), batch+"/_SUCCESS"); reason != "" {
			err = fmt.Errorf("%w. %s", err, reason)
		}
		return err
	}
	return held
}
