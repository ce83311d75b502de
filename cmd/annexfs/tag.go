package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/repo"
	"github.com/annexfs/annexfs/registry"
)

func (a *app) tagCommand() *cobra.Command {
	return group("tag", "Set, list and delete version tags", a.tagSet(), a.tagList(), a.tagDelete())
}

// tagRow is a tag as --json shows it.
type tagRow struct {
	Version   string       `json:"version"`
	Hash      dataset.Hash `json:"hash"`
	Target    string       `json:"target,omitempty"`
	CreatedAt time.Time    `json:"created_at"`
	UpdatedAt time.Time    `json:"updated_at"`
}

func newTagRow(t registry.Tag) tagRow {
	return tagRow{t.Name, t.Hash, t.Target, t.CreatedAt, t.UpdatedAt}
}

func (a *app) tagSet() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "set NS/NAME VERSION [HASH|VERSION|dev]",
		Short: "Make a semantic version denote a manifest (default: dev's)",
		Args:  cobra.RangeArgs(2, 3),
		RunE: func(c *cobra.Command, args []string) error {
			id, v, err := parseTag(args)
			if err != nil {
				return usage(c, err)
			}
			to := dataset.Dev
			if len(args) == 3 {
				if to, err = dataset.ParseSelector(args[2]); err == nil && to.IsLatest() {
					err = fmt.Errorf("a tag is set to a hash, a version or dev, not to latest")
				}
				if err != nil {
					return usage(c, err)
				}
			}
			return a.withRepo(c.Context(), func(r *repo.Repo) error {
				h, err := r.Registry.Resolve(c.Context(), dataset.Reference{ID: id, Selector: to})
				if err != nil {
					return err
				}
				moved, err := r.Registry.SetTag(c.Context(), id, v, h, force)
				if err != nil {
					return forceHint(err, force)
				}
				return a.tagWasSet(id, v, h, moved)
			})
		},
	}
	c.Flags().BoolVar(&force, "force", false, "move a version that denotes another manifest")
	return c
}

func parseTag(args []string) (dataset.ID, dataset.Version, error) {
	id, err := dataset.ParseID(args[0])
	if err != nil {
		return dataset.ID{}, dataset.Version{}, err
	}
	if args[1] == "latest" || args[1] == "dev" {
		return dataset.ID{}, dataset.Version{}, fmt.Errorf(
			"%s can be neither set nor deleted by hand: it follows the tags and links by itself", args[1])
	}
	v, err := dataset.ParseVersion(args[1])
	return id, v, err
}

func (a *app) tagWasSet(id dataset.ID, v dataset.Version, h, moved dataset.Hash) error {
	document := struct {
		Namespace dataset.Namespace `json:"namespace"`
		Name      dataset.Name      `json:"name"`
		Version   string            `json:"version"`
		Hash      dataset.Hash      `json:"hash"`
		Moved     string            `json:"moved_from,omitempty"`
	}{Namespace: id.Namespace, Name: id.Name, Version: v.String(), Hash: h}
	if moved.IsZero() {
		return a.done(document, "%s@%s is %s", id, v, h)
	}
	document.Moved = moved.String()
	return a.done(document, "moved %s@%s from %s to %s", id, v, moved, h)
}

// forceHint tells how to get what was refused.
func forceHint(err error, force bool) error {
	if !force && status(err) == statusConflict {
		return fmt.Errorf("%w (--force)", err)
	}
	return err
}

func (a *app) tagList() *cobra.Command {
	return &cobra.Command{
		Use:   "list NS/NAME",
		Short: "List a dataset's tags by precedence",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := dataset.ParseID(args[0])
			if err != nil {
				return usage(c, err)
			}
			return a.withRepo(c.Context(), func(r *repo.Repo) error {
				tags, err := r.Registry.Tags(c.Context(), id)
				if err != nil {
					return err
				}
				return a.show(list(tags, newTagRow), func(w io.Writer) error {
					return table(w, []string{"VERSION", "MANIFEST", "SET"}, list(tags, func(t registry.Tag) []string {
						name := t.Name
						if t.Name == "latest" {
							name += " (" + t.Target + ")"
						}
						return []string{name, t.Hash.String(), clock(t.UpdatedAt)}
					}))
				})
			})
		},
	}
}

func (a *app) tagDelete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete NS/NAME VERSION",
		Short: "Delete a version tag; doing it twice is success",
		Args:  cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			id, v, err := parseTag(args)
			if err != nil {
				return usage(c, err)
			}
			return a.withRepo(c.Context(), func(r *repo.Repo) error {
				if err := r.Registry.DeleteTag(c.Context(), id, v); err != nil {
					return err
				}
				return a.done(struct {
					Namespace dataset.Namespace `json:"namespace"`
					Name      dataset.Name      `json:"name"`
					Version   string            `json:"version"`
				}{id.Namespace, id.Name, v.String()}, "deleted %s@%s", id, v)
			})
		},
	}
}

func (a *app) resolveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resolve REF",
		Short: "Print the hash of the manifest that a reference denotes",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ref, err := dataset.ParseReference(args[0])
			if err != nil {
				return usage(c, err)
			}
			return a.withRepo(c.Context(), func(r *repo.Repo) error {
				h, err := r.Registry.Resolve(c.Context(), ref)
				if err != nil {
					return err
				}
				return a.show(struct {
					Namespace dataset.Namespace `json:"namespace"`
					Name      dataset.Name      `json:"name"`
					Version   string            `json:"version"`
					Hash      dataset.Hash      `json:"hash"`
				}{ref.ID.Namespace, ref.ID.Name, ref.Or(dataset.Latest).Selector.String(), h}, func(w io.Writer) error {
					_, err := fmt.Fprintln(w, h)
					return err
				})
			})
		},
	}
}
