package main

import (
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/repo"
)

func (a *app) tableCarry() *cobra.Command {
	var from string
	c := &cobra.Command{
		Use:   "carry TABLE",
		Short: "Give an empty table the files it has under another manifest (default version: @dev)",
		Long: "Give an empty table the files that it has under another manifest of its dataset, with the same schema: under the one\n" +
			"that --from names, else under the one linked last that has any. No file is copied.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ref, err := dataset.ParseTableRef(args[0])
			if err != nil {
				return usage(c, err)
			}
			var version dataset.Selector
			if from != "" {
				if version, err = dataset.ParseSelector(from); err != nil {
					return usage(c, err)
				}
			}
			return a.withRepo(c.Context(), func(r *repo.Repo) error {
				got, err := ingester(r, a).Carry(c.Context(), ref, version, actor())
				if err != nil {
					return err
				}
				return a.done(struct {
					Namespace    dataset.Namespace `json:"dataset_namespace"`
					Name         dataset.Name      `json:"dataset_name"`
					ManifestHash dataset.Hash      `json:"manifest_hash"`
					TableName    dataset.TableName `json:"table_name"`
					Revision     uuid.UUID         `json:"active_revision"`
					From         dataset.Hash      `json:"from_manifest_hash"`
					Files        int64             `json:"files"`
				}{got.To.Dataset.Namespace, got.To.Dataset.Name, got.To.Manifest, got.To.Name, got.Revision.UUID, got.From.Manifest, got.Files},
					"%s/%s has the %d files that it has in %s", got.To.Dataset, got.To.Name, got.Files, got.From.Manifest)
			})
		},
	}
	c.Flags().StringVar(&from, "from", "", "the version whose files the table gets")
	return c
}
