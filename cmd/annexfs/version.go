package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Tell which program this is",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			platform := runtime.GOOS + "/" + runtime.GOARCH
			return a.show(struct {
				Version   string `json:"version"`
				GoVersion string `json:"go_version"`
				Platform  string `json:"platform"`
			}{programVersion(), runtime.Version(), platform}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "annexfs %s (%s, %s)\n", programVersion(), runtime.Version(), platform)
				return err
			})
		},
	}
}

// programVersion is what the Go tool has noted while building: a tag, or a commit and its time.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
