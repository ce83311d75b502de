package main

import (
	"encoding/hex"
	"io"
	"log/slog"
	"os"
	"os/user"
	"time"

	"github.com/google/uuid"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/ingest"
	"github.com/annexfs/annexfs/internal/repo"
)

func (a *app) addCommand() *cobra.Command {
	var replace bool
	c := &cobra.Command{
		Use:   "add TABLE PATH...",
		Short: "Add files, or those in directories, to a table (default version: @dev)",
		Long: "Add files, or those in directories, to a table: all of them, or none.\n\n" +
			"A parquet table takes parquet files of its schema, and of directories what is called *.parquet. A files table takes\n" +
			"any file, under its path below the directory that was given. What the table has already is passed over; an\n" +
			"interrupted command goes on where it stopped when it is run again.",
		Args: cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			ref, err := dataset.ParseTableRef(args[0])
			if err != nil {
				return usage(c, err)
			}
			return a.withRepo(c.Context(), func(r *repo.Repo) error {
				report, finish := a.progress()
				result, err := ingester(r, a).Add(c.Context(), ref, args[1:], ingest.AddOptions{
					Replace: replace, Actor: actor(), Progress: report,
				})
				finish()
				if err != nil {
					return err
				}
				return a.added(result)
			})
		},
	}
	c.Flags().BoolVar(&replace, "replace", false, "make a new revision with exactly these files, atomically")
	return c
}

func ingester(r *repo.Repo, a *app) *ingest.Ingester {
	return ingest.New(ingest.Options{
		Registry: r.Registry, Data: r.Data, Objects: r.Objects, Files: r.Files,
		Staging: r.StagingDir(), MaxExtension: r.Config.MaxExtensionLength, Logger: a.logger(slog.LevelWarn),
		Actor: actor(), Owner: r.Config.UUID.String(),
	})
}

// addedRow is a file as --json shows it.
type addedRow struct {
	Path     string `json:"path"`
	FileName string `json:"file_name"`
	Size     int64  `json:"object_size"`
	Rows     int64  `json:"row_count"`
	SHA256   string `json:"sha256"`
	Key      string `json:"file_key,omitempty"`
	Existing bool   `json:"existing"`
}

func (a *app) added(r ingest.Result) error {
	document := struct {
		Namespace    dataset.Namespace `json:"dataset_namespace"`
		Name         dataset.Name      `json:"dataset_name"`
		ManifestHash dataset.Hash      `json:"manifest_hash"`
		TableName    dataset.TableName `json:"table_name"`
		Revision     uuid.UUID         `json:"revision"`
		Added        int               `json:"added"`
		Existing     int               `json:"existing"`
		Bytes        int64             `json:"bytes"`
		Files        []addedRow        `json:"files"`
	}{Namespace: r.Table.Dataset.Namespace, Name: r.Table.Dataset.Name, ManifestHash: r.Table.Manifest,
		TableName: r.Table.Name, Revision: r.Revision.UUID}
	document.Files = list(r.Files, func(f ingest.Added) addedRow {
		if f.Existing {
			document.Existing++
		} else {
			document.Added++
			document.Bytes += f.Size
		}
		return addedRow{f.Path, f.Name, f.Size, f.Rows, hex.EncodeToString(f.SHA256[:]), f.Key, f.Existing}
	})
	return a.show(document, func(io.Writer) error {
		for _, f := range r.Files {
			if a.verbose {
				a.say("%s -> %s", f.Path, f.Name)
			}
		}
		a.say("added %d files (%s) to %s/%s, %d were there already", document.Added, size(document.Bytes),
			r.Table.Dataset, r.Table.Name, document.Existing)
		return nil
	})
}

// progress shows a bar to a person at a terminal, and nothing to anybody else.
func (a *app) progress() (report func(ingest.Progress), finish func()) {
	if a.json || a.quiet || os.Getenv("NO_COLOR") != "" || !isTerminal(a.err) {
		return nil, func() {}
	}
	bar := progressbar.NewOptions64(1, progressbar.OptionSetWriter(a.err), progressbar.OptionShowBytes(true),
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(),
		progressbar.OptionFullWidth(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionUseANSICodes(true))
	return func(p ingest.Progress) {
		bar.ChangeMax64(max(p.TotalBytes, 1))
		_ = bar.Set64(min(p.Bytes, p.TotalBytes)) // a bar that cannot be drawn is no reason to fail
	}, func() { _ = bar.Finish() }
}

// actor is who runs this, for the history of activations.
func actor() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
