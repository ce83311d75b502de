package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/annexfs/annexfs/fs"
	"github.com/annexfs/annexfs/internal/repo"
)

func (a *app) mountCommand() *cobra.Command {
	var foreground bool
	var readyFD int
	c := &cobra.Command{
		Use:   "mount [MNT]",
		Short: "Mount the repository (default: where annexfs.toml says)",
		Long: "Mount the repository's datasets as a directory tree, in the background unless told otherwise.\n" +
			"The mount point must be an empty directory. The daemon's log lies in the repository's directory run.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if foreground && a.settle != nil {
				a.settle()
			}
			tell := readiness(readyFD)
			err := a.withRepo(c.Context(), func(r *repo.Repo) error {
				point := r.MountPoint()
				if len(args) == 1 {
					point = args[0]
				}
				point, err := realPath(point)
				if err != nil {
					return err
				}
				if foreground {
					return a.serve(c.Context(), r, point, tell)
				}
				return a.mountInBackground(c.Context(), r, point)
			})
			tell(err)
			return err
		},
	}
	c.Flags().BoolVarP(&foreground, "foreground", "f", false, "serve until unmounted or told to stop, instead of returning at once")
	c.Flags().IntVar(&readyFD, "ready-fd", 0, "")
	_ = c.Flags().MarkHidden("ready-fd") // it exists
	return c
}

// serve mounts and serves until somebody unmounts, or ctx ends.
func (a *app) serve(ctx context.Context, r *repo.Repo, point string, tell func(error)) (err error) {
	record, err := holdRecord(r.RunDir(), point)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, record.release()) }()
	log := a.logger(slog.LevelInfo)
	publisher := ingester(r, a)
	server, err := fs.Mount(ctx, fs.Backend{
		DB: r.DB, Registry: r.Registry, Data: r.Data, Files: r.Files, Objects: r.Objects,
		Publisher: publisher, StagingDir: r.StagingDir(),
	}, mountOptions(r.Config.Mount, point, log))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, publisher.Close(context.WithoutCancel(ctx))) }()
	log.Info("mounted", "repository", r.Dir, "mountpoint", point)
	tell(nil)
	if server.Status().Staging {
		defer collectDaily(ctx, r, publisher, log, collectAfter)()
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		server.Wait()
	}()
	select {
	case <-gone:
	case <-ctx.Done():
		stop(server, log)
		<-gone
	}
	log.Info("unmounted", "mountpoint", point)
	return nil
}

// stop unmounts. From a mount in use it takes the name away, so that nobody comes in, and serves who is inside; a second
// signal ends that too.
func stop(server *fs.Server, log *slog.Logger) {
	err := server.Unmount()
	if err == nil {
		return
	}
	log.Warn("the mount is in use: its mount point is given up now, open files are served until they are closed", "err", err)
	if err := server.Detach(); err != nil {
		log.Error("the mount point cannot be given up", "err", err)
	}
}

func mountOptions(c repo.MountConfig, point string, log *slog.Logger) fs.Options {
	o := fs.Options{
		Mountpoint: point, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Version: programVersion(), Logger: log,
		AllowOther: c.AllowOther != nil && *c.AllowOther, NoPassthrough: c.Passthrough != nil && !*c.Passthrough,
		NoSymlinkCache: c.SymlinkCache != nil && !*c.SymlinkCache,
	}
	if c.UID != nil {
		o.UID = *c.UID
	}
	if c.GID != nil {
		o.GID = *c.GID
	}
	return o
}

// realPath is the absolute path without symbolic links. The last element is not looked at: it may be a mount point
// whose daemon is dead.
func realPath(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if path, err := filepath.EvalSymlinks(abs); err == nil {
		return path, nil
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		return filepath.Join(dir, filepath.Base(abs)), nil
	}
	return abs, nil
}
