package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/manifest"
	"github.com/annexfs/annexfs/internal/repo"
	"github.com/annexfs/annexfs/registry"
)

func (a *app) manifestCommand() *cobra.Command {
	return group("manifest", "Register, show, list and delete manifests",
		a.manifestRegister(), a.manifestShow(), a.manifestList(), a.manifestDelete())
}

// manifestRow is a manifest as --json shows it.
type manifestRow struct {
	Hash      dataset.Hash `json:"hash"`
	Path      string       `json:"path"`
	Kind      string       `json:"kind"`
	Size      int64        `json:"size"`
	CreatedAt time.Time    `json:"created_at"`
}

func newManifestRow(m registry.ManifestInfo) manifestRow {
	return manifestRow{m.Hash, m.Path, m.Kind, m.Size, m.CreatedAt}
}

func (a *app) manifestRegister() *cobra.Command {
	return &cobra.Command{
		Use:   "register FILE|-",
		Short: "Store a manifest and print its hash",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			return a.withRepo(ctx, func(r *repo.Repo) error {
				data, err := a.readInput(args[0])
				if err != nil {
					return err
				}
				m, err := manifest.Parse(data)
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				h, err := r.Registry.Register(ctx, m.Kind, m.Bytes)
				if err != nil {
					return err
				}
				info, err := r.Registry.Info(ctx, h)
				if err != nil {
					return err
				}
				return a.show(newManifestRow(info), func(w io.Writer) error {
					_, err := fmt.Fprintln(w, h)
					return err
				})
			})
		},
	}
}

// maxManifest bounds what is read into memory.
const maxManifest = 64 << 20

// readInput reads the named file, or stdin where it is "-".
func (a *app) readInput(name string) (data []byte, err error) {
	in := a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err = io.ReadAll(io.LimitReader(in, maxManifest+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxManifest {
		return nil, fmt.Errorf("%s: a manifest has at most %s", name, size(maxManifest))
	}
	return data, nil
}

func (a *app) manifestShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show HASH",
		Short: "Print a manifest's content",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := dataset.ParseHash(args[0])
			if err != nil {
				return usage(c, err)
			}
			return a.withRepo(c.Context(), func(r *repo.Repo) error {
				data, err := r.Registry.Manifest(c.Context(), h)
				if err != nil {
					return err
				}
				info, err := r.Registry.Info(c.Context(), h)
				if err != nil {
					return err
				}
				return a.show(struct {
					manifestRow
					Content json.RawMessage `json:"content"`
				}{newManifestRow(info), data}, func(w io.Writer) error { return writeManifest(w, data) })
			})
		},
	}
}

// writeManifest indents for a person what is stored without white space; to a file or a pipe go the stored bytes.
func writeManifest(w io.Writer, data []byte) error {
	if !isTerminal(w) {
		_, err := w.Write(data)
		return err
	}
	var b bytes.Buffer
	err := json.Indent(&b, data, "", "  ")
	b.WriteByte('\n')
	_, werr := w.Write(b.Bytes())
	return errors.Join(err, werr)
}

func (a *app) manifestList() *cobra.Command {
	var orphans bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the registered manifests",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withRepo(c.Context(), func(r *repo.Repo) error {
				all, err := r.Registry.Manifests(c.Context(), orphans)
				if err != nil {
					return err
				}
				return a.show(list(all, newManifestRow), func(w io.Writer) error {
					return table(w, []string{"HASH", "KIND", "SIZE", "CREATED"}, list(all, func(m registry.ManifestInfo) []string {
						return []string{m.Hash.String(), m.Kind, size(m.Size), clock(m.CreatedAt)}
					}))
				})
			})
		},
	}
	c.Flags().BoolVar(&orphans, "orphans", false, "only those that no dataset links")
	return c
}

func (a *app) manifestDelete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete HASH",
		Short: "Delete a manifest that no dataset links; doing it twice is success",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := dataset.ParseHash(args[0])
			if err != nil {
				return usage(c, err)
			}
			return a.withRepo(c.Context(), func(r *repo.Repo) error {
				if err := r.Registry.Delete(c.Context(), h); err != nil {
					return err
				}
				return a.done(struct {
					Hash dataset.Hash `json:"hash"`
				}{h}, "deleted manifest %s", h)
			})
		},
	}
}
