package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/ingest"
	"github.com/annexfs/annexfs/internal/manifest"
	"github.com/annexfs/annexfs/internal/repo"
	"github.com/annexfs/annexfs/registry"
)

func (a *app) datasetCommand() *cobra.Command {
	return group("dataset", "List and show datasets, link manifests to them",
		a.datasetList(), a.datasetShow(), a.datasetLink(), a.datasetUnlink())
}

func (a *app) datasetList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the datasets",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			type row struct {
				Namespace string    `json:"namespace"`
				Name      string    `json:"name"`
				UpdatedAt time.Time `json:"updated_at"`
			}
			return a.withRepo(c.Context(), func(r *repo.Repo) error {
				all, err := r.Registry.Datasets(c.Context(), "")
				if err != nil {
					return err
				}
				rows := list(all, func(e registry.Entry) row {
					ns, name, _ := strings.Cut(e.Name, "/")
					return row{ns, name, e.ModTime}
				})
				return a.show(rows, func(w io.Writer) error {
					return table(w, []string{"DATASET", "UPDATED"}, list(all, func(e registry.Entry) []string {
						return []string{e.Name, clock(e.ModTime)}
					}))
				})
			})
		},
	}
}

func (a *app) datasetShow() *cobra.Command {
	type link struct {
		Hash     dataset.Hash `json:"hash"`
		LinkedAt time.Time    `json:"linked_at"`
	}
	return &cobra.Command{
		Use:   "show NS/NAME",
		Short: "Show a dataset's manifests and tags",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := dataset.ParseID(args[0])
			if err != nil {
				return usage(c, err)
			}
			return a.withRepo(c.Context(), func(r *repo.Repo) error {
				links, err := r.Registry.Links(c.Context(), id)
				if err != nil {
					return err
				}
				tags, err := r.Registry.Tags(c.Context(), id)
				if err != nil {
					return err
				}
				return a.show(struct {
					Namespace dataset.Namespace `json:"namespace"`
					Name      dataset.Name      `json:"name"`
					Manifests []link            `json:"manifests"`
					Tags      []tagRow          `json:"tags"`
				}{id.Namespace, id.Name, list(links, func(l registry.Link) link { return link{l.Hash, l.LinkedAt} }), list(tags, newTagRow)},
					func(w io.Writer) error { return writeDataset(w, links, tags) })
			})
		},
	}
}

// writeDataset lists the manifests, the one linked last first, with the names that each has.
func writeDataset(w io.Writer, links []registry.Link, tags []registry.Tag) error {
	var rows [][]string
	for i := len(links) - 1; i >= 0; i-- {
		var names []string
		for _, t := range tags {
			if t.Hash == links[i].Hash {
				names = append(names, t.Name)
			}
		}
		rows = append(rows, []string{links[i].Hash.String(), clock(links[i].LinkedAt), strings.Join(names, ", ")})
	}
	return table(w, []string{"MANIFEST", "LINKED", "VERSIONS"}, rows)
}

func (a *app) datasetLink() *cobra.Command {
	var carry bool
	c := &cobra.Command{
		Use:   "link NS/NAME HASH",
		Short: "Link a manifest to a dataset and make it @dev",
		Long: "Link a manifest to a dataset and make it @dev. Its tables are empty at first. With --carry those that the manifest\n" +
			"which was @dev before has with the same schema get its files, without copying any.",
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			id, h, err := parseLink(args)
			if err != nil {
				return usage(c, err)
			}
			return a.withRepo(c.Context(), func(r *repo.Repo) error {
				tables, err := ingester(r, a).Link(c.Context(), id, h, ingest.LinkOptions{Carry: carry, Actor: actor()})
				if err != nil {
					return err
				}
				return a.linked(id, h, tables, carry)
			})
		},
	}
	c.Flags().BoolVar(&carry, "carry", false, "bring the files of tables with the same schema, without copying them")
	return c
}

// linked tells what was linked, and which tables have the same schema as before.
func (a *app) linked(id dataset.ID, h dataset.Hash, tables []datastore.Carried, carried bool) error {
	names := list(tables, func(c datastore.Carried) dataset.TableName { return c.To.Name })
	document := struct {
		Namespace dataset.Namespace   `json:"namespace"`
		Name      dataset.Name        `json:"name"`
		Hash      dataset.Hash        `json:"hash"`
		Same      []dataset.TableName `json:"same_tables"`
		Carried   bool                `json:"carried"`
	}{id.Namespace, id.Name, h, names, carried}
	err := a.done(document, "%s@dev is %s now", id, h)
	if len(tables) == 0 {
		return err
	}
	text := strings.Join(list(names, func(t dataset.TableName) string { return string(t) }), ", ")
	if carried {
		a.say("these tables have the files that they had in %s, which was @dev before: %s", tables[0].From.Manifest, text)
	} else {
		a.say("these tables are empty, and have the same schema as those with files in %s, which was @dev before: %s\n"+
			"'annexfs table carry %s/TABLE' brings their files over without copying them", tables[0].From.Manifest, text, id)
	}
	return err
}

func parseLink(args []string) (dataset.ID, dataset.Hash, error) {
	id, err := dataset.ParseID(args[0])
	if err != nil {
		return dataset.ID{}, dataset.Hash{}, err
	}
	h, err := dataset.ParseHash(args[1])
	return id, h, err
}

func readManifest(ctx context.Context, r *repo.Repo, h dataset.Hash) (*manifest.Manifest, error) {
	data, err := r.Registry.Manifest(ctx, h)
	if err != nil {
		return nil, err
	}
	return manifest.Parse(data)
}

func (a *app) datasetUnlink() *cobra.Command {
	return &cobra.Command{
		Use:   "unlink NS/NAME HASH",
		Short: "Take a manifest and its tags from a dataset; doing it twice is success",
		Args:  cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			id, h, err := parseLink(args)
			if err != nil {
				return usage(c, err)
			}
			return a.withRepo(c.Context(), func(r *repo.Repo) error {
				if err := r.Registry.Unlink(c.Context(), id, h); err != nil {
					return err
				}
				return a.done(struct {
					Namespace dataset.Namespace `json:"namespace"`
					Name      dataset.Name      `json:"name"`
					Hash      dataset.Hash      `json:"hash"`
				}{id.Namespace, id.Name, h}, "unlinked %s from %s", h, id)
			})
		},
	}
}
