package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/annexfs/annexfs/internal/ingest"
	"github.com/annexfs/annexfs/internal/repo"
)

const (
	collectEvery = 24 * time.Hour   // how often a mount collects garbage
	collectAfter = 10 * time.Minute // how long after it was mounted it does so first: that is not the time to be slow
	// collectedName is of the file in the staging directory that is as old as the last collection of a mount.
	collectedName = "collected"
)

func (a *app) gcCommand() *cobra.Command {
	var dryRun bool
	var age time.Duration
	c := &cobra.Command{
		Use:   "gc",
		Short: "Remove what was stored and never registered",
		Long: "Remove what was stored and never registered: objects and files that no table has, and temporary files, which commands\n" +
			"that were killed have left. Commands that are adding files meanwhile lose nothing. What annexfs did not put there, and\n" +
			"what the database does not know about because it was made again, stays and is counted.\n\n" +
			"The mount that has staging does this by itself once a day.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if age < ingest.MinCollectAge && !dryRun {
				return usage(c, fmt.Errorf("--older-than %s: the least is %s, because what is younger may be on its way into a table; with --dry-run any age will do",
					age, ingest.MinCollectAge))
			}
			return a.withRepo(c.Context(), func(r *repo.Repo) error {
				w := &garbageWriter{app: a}
				before := time.Now().Add(-age)
				got, err := ingester(r, a).Collect(c.Context(), ingest.CollectOptions{
					Before: before, Since: r.RegisteredAt, DryRun: dryRun, Report: w.write,
				})
				if err != nil && w.n == 0 {
					return err
				}
				return errors.Join(err, w.finish(newCollectedRow(got, before, dryRun)))
			})
		},
	}
	c.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "remove nothing, and list what would be")
	c.Flags().DurationVar(&age, "older-than", ingest.DefaultCollectAge, "how long ago it must have been stored or found last; at least 1h")
	return c
}

// garbageRow is a piece of garbage as --json shows it.
type garbageRow struct {
	Kind       ingest.GarbageKind `json:"kind"`
	Name       string             `json:"name"`
	Size       int64              `json:"object_size"`
	ModifiedAt time.Time          `json:"modified_at"`
}

// collectedRow is what was removed in all, as --json shows it.
type collectedRow struct {
	DryRun    bool      `json:"dry_run"`
	Before    time.Time `json:"before"`
	Objects   totalRow  `json:"objects"`
	Files     totalRow  `json:"files"`
	Temporary totalRow  `json:"temporary"`
	Unknown   int64     `json:"unknown"`
	Busy      int64     `json:"busy"`
}

type totalRow struct {
	Count int64 `json:"count"`
	Bytes int64 `json:"bytes"`
}

func newCollectedRow(c ingest.Collected, before time.Time, dryRun bool) collectedRow {
	return collectedRow{dryRun, before.UTC(), totalRow(c.Objects), totalRow(c.Files), totalRow(c.Temporary), c.Unknown, c.Busy}
}

// garbageWriter writes each piece of garbage at once: there may be more than fit into memory.
type garbageWriter struct {
	*app
	n int
}

func (w *garbageWriter) write(g ingest.Garbage) error {
	w.n++
	if w.json {
		data, err := json.Marshal(garbageRow{g.Kind, g.Name, g.Size, g.ModTime.UTC()})
		if err != nil {
			return err
		}
		before := ",\n    "
		if w.n == 1 {
			before = "{\n  \"garbage\": [\n    "
		}
		_, err = fmt.Fprintf(w.out, "%s%s", before, data)
		return err
	}
	const line = "%-10s %10s  %-19s  %s\n"
	if w.n == 1 {
		if _, err := fmt.Fprintf(w.out, line, "KIND", "SIZE", "STORED", "NAME"); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w.out, line, g.Kind, size(g.Size), clock(g.ModTime), g.Name)
	return err
}

// finish writes the totals: into the document, or as a sentence for a person.
func (w *garbageWriter) finish(all collectedRow) error {
	if w.json {
		data, err := json.Marshal(all)
		if err != nil {
			return err
		}
		end := "\n  ],\n  "
		if w.n == 0 {
			end = "{\n  \"garbage\": [],\n  "
		}
		_, err = fmt.Fprintf(w.out, "%s%s\n", end, data[1:])
		return err
	}
	did := "removed"
	if all.DryRun {
		did = "would remove"
	}
	w.say("%s %s objects (%s), %s files (%s) and %s temporary files (%s)", did, count(all.Objects.Count), size(all.Objects.Bytes),
		count(all.Files.Count), size(all.Files.Bytes), count(all.Temporary.Count), size(all.Temporary.Bytes))
	if all.Unknown > 0 {
		w.say("%s more are not known to the database and nothing that annexfs has left: they stay", count(all.Unknown))
	}
	if all.Busy > 0 {
		w.say("%s more lie in tables that somebody is writing to: they stay until the next time", count(all.Busy))
	}
	return nil
}

// collectDaily collects garbage once a day, but not before some time has passed, until the function that it returns is
// called.
func collectDaily(ctx context.Context, r *repo.Repo, i *ingest.Ingester, log *slog.Logger, after time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	marker := filepath.Join(r.StagingDir(), collectedName)
	if info, err := os.Stat(marker); err == nil {
		after = max(after, time.Until(info.ModTime().Add(collectEvery)))
	}
	go func() {
		defer close(done)
		due := time.NewTimer(after)
		defer due.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-due.C:
			}
			collectOnce(ctx, r, i, log)
			if err := os.WriteFile(marker, nil, 0o644); err != nil {
				log.Warn("the next mount will collect garbage sooner than it has to", "err", err)
			}
			due.Reset(collectEvery)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

func collectOnce(ctx context.Context, r *repo.Repo, i *ingest.Ingester, log *slog.Logger) {
	got, err := i.Collect(ctx, ingest.CollectOptions{Since: r.RegisteredAt, Gentle: true, Report: func(g ingest.Garbage) error {
		log.Debug("removed what nothing names", "kind", string(g.Kind), "name", g.Name, "size", g.Size)
		return nil
	}})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		log.Error("garbage was not collected", "err", err)
	case got.Objects.Count+got.Files.Count+got.Temporary.Count > 0:
		log.Info("removed what was stored and never registered", "objects", got.Objects.Count, "object_bytes", got.Objects.Bytes,
			"files", got.Files.Count, "file_bytes", got.Files.Bytes, "temporary", got.Temporary.Count,
			"unknown", got.Unknown, "busy", got.Busy)
	}
}
