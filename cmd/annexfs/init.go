package main

import (
	"path/filepath"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/annexfs/annexfs/internal/repo"
)

func (a *app) initCommand() *cobra.Command {
	var o repo.InitOptions
	c := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Make a directory a repository; run again, it changes nothing",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := a.repoDir
			if len(args) == 1 {
				dir = args[0]
			}
			dir, err := filepath.Abs(dir)
			if err != nil {
				return err
			}
			config, created, err := repo.Init(c.Context(), dir, o)
			if err != nil {
				return err
			}
			document := struct {
				Repository string    `json:"repository"`
				UUID       uuid.UUID `json:"uuid"`
				Database   string    `json:"database"`
				Objects    string    `json:"objects"`
				Files      string    `json:"files"`
				Created    bool      `json:"created"`
			}{dir, config.UUID, config.Database, config.Objects, config.Files, created}
			if !created {
				return a.done(document, "%s is a repository already: nothing was changed", dir)
			}
			return a.done(document, "made the repository %s", dir)
		},
	}
	c.Flags().StringVar(&o.Database, "database", "",
		"sqlite:PATH or postgres://USER:${VAR}@HOST/DATABASE; ${VAR} is read from the environment at each use")
	c.Flags().StringVar(&o.Objects, "objects", "",
		"file:PATH, s3://BUCKET/PREFIX?region=…&endpoint=…, gs://BUCKET or azblob://CONTAINER")
	return c
}

func (a *app) migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to the schema of this program",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			dir, err := a.findRepo()
			if err != nil {
				return err
			}
			from, to, err := repo.Migrate(c.Context(), dir)
			if err != nil {
				return err
			}
			document := struct {
				From int64 `json:"from_version"`
				To   int64 `json:"to_version"`
			}{from, to}
			if from == to {
				return a.done(document, "the schema has version %d already: nothing was changed", to)
			}
			return a.done(document, "migrated the schema from version %d to %d", from, to)
		},
	}
}
