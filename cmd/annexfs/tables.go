package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/manifest"
	"github.com/annexfs/annexfs/internal/repo"
)

func (a *app) tableCommand() *cobra.Command {
	return group("table", "List and show tables, choose their active revision, bring files over",
		a.tableList(), a.tableShow(), a.tableRevisions(), a.tableActivate(), a.tableCarry())
}

// tableRow is a table as --json shows it.
type tableRow struct {
	Namespace    dataset.Namespace  `json:"dataset_namespace"`
	Name         dataset.Name       `json:"dataset_name"`
	ManifestHash dataset.Hash       `json:"manifest_hash"`
	TableName    dataset.TableName  `json:"table_name"`
	Kind         manifest.TableKind `json:"kind"`
	Files        int64              `json:"files"`
	Rows         int64              `json:"rows"`
	Bytes        int64              `json:"bytes"`
	Revision     *uuid.UUID         `json:"active_revision"`
	Writer       int64              `json:"writer,omitempty"`
	UpdatedAt    *time.Time         `json:"updated_at,omitempty"`
	Schema       *manifest.Schema   `json:"schema,omitempty"`
}

// newTableRow asks for the totals of the active revision, if there is one.
func newTableRow(ctx context.Context, r *repo.Repo, t datastore.Table, kind manifest.TableKind, rev datastore.Revision) (
	tableRow, error,
) {
	row := tableRow{Namespace: t.Dataset.Namespace, Name: t.Dataset.Name, ManifestHash: t.Manifest, TableName: t.Name, Kind: kind}
	if rev.ID == 0 {
		return row, nil
	}
	stats, err := r.Data.Stats(ctx, rev.ID)
	row.Files, row.Rows, row.Bytes = stats.Files, stats.Rows, stats.Bytes
	row.Revision, row.Writer, row.UpdatedAt = &rev.UUID, rev.Writer, &rev.UpdatedAt
	return row, err
}

func (t tableRow) revision() string {
	if t.Revision == nil {
		return "-"
	}
	return t.Revision.String()
}

func (a *app) tableList() *cobra.Command {
	return &cobra.Command{
		Use:   "list REF",
		Short: "List the tables of a dataset's version (default: @latest)",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ref, err := dataset.ParseReference(args[0])
			if err != nil {
				return usage(c, err)
			}
			return a.withRepo(c.Context(), func(r *repo.Repo) error {
				rows, err := listTables(c.Context(), r, ref)
				if err != nil {
					return err
				}
				return a.show(rows, func(w io.Writer) error {
					return table(w, []string{"TABLE", "KIND", "FILES", "ROWS", "SIZE", "ACTIVE REVISION"}, list(rows, func(t tableRow) []string {
						return []string{string(t.TableName), string(t.Kind), count(t.Files), count(t.Rows), size(t.Bytes), t.revision()}
					}))
				})
			})
		},
	}
}

func listTables(ctx context.Context, r *repo.Repo, ref dataset.Reference) ([]tableRow, error) {
	h, err := r.Registry.Resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	m, err := readManifest(ctx, r, h)
	if err != nil {
		return nil, err
	}
	active, err := r.Data.ActiveTables(ctx, ref.ID, h)
	if err != nil {
		return nil, err
	}
	rows := []tableRow{}
	for _, t := range m.Tables {
		row, err := newTableRow(ctx, r, datastore.Table{Dataset: ref.ID, Manifest: h, Name: t.Name}, t.Kind, active[t.Name])
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (a *app) tableShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show TABLE",
		Short: "Show a table's schema and what it holds",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withTable(c, args[0], dataset.Latest, func(r *repo.Repo, t datastore.Table, spec manifest.Table) error {
				rev, err := r.Data.Active(c.Context(), t)
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
				row, err := newTableRow(c.Context(), r, t, spec.Kind, rev)
				if err != nil {
					return err
				}
				row.Schema = &spec.Schema
				return a.show(row, func(w io.Writer) error { return writeTable(w, row) })
			})
		},
	}
}

func writeTable(w io.Writer, t tableRow) error {
	err := fields(w, "table", fmt.Sprintf("%s/%s/%s", t.Namespace, t.Name, t.TableName), "manifest", t.ManifestHash.String(),
		"kind", string(t.Kind), "files", count(t.Files), "rows", count(t.Rows), "size", size(t.Bytes), "active revision", t.revision())
	if err != nil || len(t.Schema.Fields) == 0 {
		return err
	}
	fmt.Fprintln(w)
	return table(w, []string{"COLUMN", "TYPE", "NULLABLE"}, list(t.Schema.Fields, func(f manifest.Field) []string {
		return []string{f.Name, string(f.Type), strconv.FormatBool(f.Nullable)}
	}))
}

func (a *app) tableRevisions() *cobra.Command {
	type row struct {
		LocationID int64     `json:"location_id"`
		Revision   uuid.UUID `json:"revision"`
		Path       string    `json:"path"`
		Active     bool      `json:"active"`
		Writer     int64     `json:"writer,omitempty"`
		CreatedAt  time.Time `json:"created_at"`
		UpdatedAt  time.Time `json:"updated_at"`
	}
	return &cobra.Command{
		Use:   "revisions TABLE",
		Short: "List a table's revisions, the newest first",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withTable(c, args[0], dataset.Latest, func(r *repo.Repo, t datastore.Table, _ manifest.Table) error {
				all, err := r.Data.Revisions(c.Context(), t)
				if err != nil {
					return err
				}
				rows := list(all, func(v datastore.Revision) row {
					return row{v.ID, v.UUID, v.Path, v.Active, v.Writer, v.CreatedAt, v.UpdatedAt}
				})
				return a.show(rows, func(w io.Writer) error {
					return table(w, []string{"REVISION", "ACTIVE", "CREATED", "UPDATED"}, list(all, func(v datastore.Revision) []string {
						return []string{v.UUID.String(), mark(v.Active), clock(v.CreatedAt), clock(v.UpdatedAt)}
					}))
				})
			})
		},
	}
}

func mark(yes bool) string {
	if yes {
		return "active"
	}
	return ""
}

func (a *app) tableActivate() *cobra.Command {
	return &cobra.Command{
		Use:   "activate TABLE UUID",
		Short: "Make a retained revision the active one (default version: @dev)",
		Args:  cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := uuid.Parse(args[1])
			if err != nil {
				return usage(c, fmt.Errorf("%q is no UUID: %w", args[1], err))
			}
			return a.withTable(c, args[0], dataset.Dev, func(r *repo.Repo, t datastore.Table, _ manifest.Table) error {
				if err := r.Data.Activate(c.Context(), t, id, actor()); err != nil {
					return err
				}
				return a.done(struct {
					Namespace    dataset.Namespace `json:"dataset_namespace"`
					Name         dataset.Name      `json:"dataset_name"`
					ManifestHash dataset.Hash      `json:"manifest_hash"`
					TableName    dataset.TableName `json:"table_name"`
					Revision     uuid.UUID         `json:"active_revision"`
				}{t.Dataset.Namespace, t.Dataset.Name, t.Manifest, t.Name, id}, "revision %s of %s/%s is active", id, t.Dataset, t.Name)
			})
		},
	}
}

// withTable calls fn with the table that arg names; without a version it is that of the default.
func (a *app) withTable(
	c *cobra.Command, arg string, version dataset.Selector, fn func(*repo.Repo, datastore.Table, manifest.Table) error,
) error {
	ref, err := dataset.ParseTableRef(arg)
	if err != nil {
		return usage(c, err)
	}
	ref.Reference = ref.Reference.Or(version)
	return a.withRepo(c.Context(), func(r *repo.Repo) error {
		t, err := ingester(r, a).Target(c.Context(), ref)
		if err != nil {
			return err
		}
		return fn(r, t.Table, t.Spec)
	})
}
