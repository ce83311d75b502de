package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/annexfs/annexfs/internal/repo"
)

// stdio is what a run reads and writes.
type stdio struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// app is one run of the program: its streams and the flags that every command has.
type app struct {
	stdio
	settle  func() // prepares a process that is to serve; nil where it is not the program's own
	repoDir string
	json    bool
	quiet   bool
	verbose bool
	parsed  bool // the command line was understood
}

// run executes one command line. It ends early, with the context's error, when ctx does.
func (a *app) run(ctx context.Context, args []string) error {
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	command, err := root.ExecuteContextC(ctx)
	var usage *usageError
	if err != nil && !a.parsed && !errors.As(err, &usage) {
		return &usageError{err, command.CommandPath()}
	}
	return err
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "annexfs",
		Short:         "Mount versioned datasets as a directory tree",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			a.parsed = true
		},
	}
	asGroup(root)
	flags := root.PersistentFlags()
	flags.StringVar(&a.repoDir, "repo", "",
		"directory of the repository (default: $"+repo.EnvVar+", else found above the current directory)")
	flags.BoolVar(&a.json, "json", false, "write one JSON document to stdout")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "say nothing but errors on stderr")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "log what is done to stderr")
	root.AddCommand(
		a.initCommand(), a.mountCommand(), a.umountCommand(), a.statusCommand(),
		a.manifestCommand(), a.datasetCommand(), a.tagCommand(), a.resolveCommand(),
		a.tableCommand(), a.addCommand(), a.commitCommand(), a.catCommand(), a.gcCommand(), a.migrateCommand(),
		a.versionCommand(),
	)
	return root
}

// group is a command that only has others below it.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short}
	c.AddCommand(commands...)
	asGroup(c)
	return c
}

// asGroup makes a command without a function of its own refuse what is none of its commands.
func asGroup(c *cobra.Command) {
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		var names []string
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				names = append(names, sub.Name())
			}
		}
		if len(args) == 0 {
			return usage(c, fmt.Errorf("%s needs a command: %s", c.CommandPath(), strings.Join(names, ", ")))
		}
		return usage(c, fmt.Errorf("unknown command %q for %s, which has %s", args[0], c.CommandPath(), strings.Join(names, ", ")))
	}
}

// usage marks an error as one of the command line.
func usage(c *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err, c.CommandPath()}
}

// findRepo is the directory of the repository that is meant.
func (a *app) findRepo() (string, error) {
	cwd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	return repo.Find(a.repoDir, os.Getenv(repo.EnvVar), cwd)
}

// withRepo calls fn with the open repository.
func (a *app) withRepo(ctx context.Context, fn func(*repo.Repo) error) error {
	dir, err := a.findRepo()
	if err != nil {
		return err
	}
	r, err := repo.Open(ctx, dir, repo.Options{Logger: a.logger(slog.LevelWarn)})
	if err != nil {
		return err
	}
	return errors.Join(fn(r), r.Close())
}

// logger writes to stderr what is of that level: with --verbose all, with --quiet errors only.
func (a *app) logger(level slog.Level) *slog.Logger {
	switch {
	case a.verbose:
		level = slog.LevelDebug
	case a.quiet:
		level = slog.LevelError
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))
}

// say tells a person what was done, on stderr.
func (a *app) say(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.err, format+"\n", args...)
	}
}

// isTerminal reports whether a stream is one that a person looks at.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
