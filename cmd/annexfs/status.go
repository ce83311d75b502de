package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/annexfs/annexfs/internal/repo"
)

// answerTime is how long a daemon may take to answer.
const answerTime = 2 * time.Second

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "List the repository's mounts and what they are doing",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dir, err := a.findRepo()
			if err != nil {
				return err
			}
			rows, err := readRecords(repo.RunDir(dir))
			if err != nil {
				return err
			}
			for i := range rows {
				rows[i].ask()
			}
			return a.show(struct {
				Repository string     `json:"repository"`
				Mounts     []mountRow `json:"mounts"`
			}{dir, rows}, func(w io.Writer) error { return a.writeMounts(w, rows) })
		},
	}
}

// ask fills in what the daemon says of itself.
func (m *mountRow) ask() {
	if m.State != stateRunning {
		return
	}
	data, err := readStatus(m.Mountpoint)
	if err != nil || !json.Valid(data) {
		m.State = stateSilent
		return
	}
	m.Status = data
}

// readStatus reads a mount's status.json. A daemon that hangs would keep us waiting for ever: then the goroutine is left
// to it, until the program ends.
func readStatus(point string) ([]byte, error) {
	type answer struct {
		data []byte
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		data, err := os.ReadFile(filepath.Join(point, ".annexfs", "status.json"))
		answered <- answer{data, err}
	}()
	select {
	case got := <-answered:
		return got.data, got.err
	case <-time.After(answerTime):
		return nil, fmt.Errorf("%s: %w", point, os.ErrDeadlineExceeded)
	}
}

func (a *app) writeMounts(w io.Writer, rows []mountRow) error {
	if len(rows) == 0 {
		a.say("the repository is not mounted; 'annexfs mount' mounts it")
		return nil
	}
	for _, m := range rows {
		if m.State != stateRunning {
			a.say("%s is %s: 'annexfs umount %s' cleans up; %s may tell why", m.Mountpoint, m.State, m.Mountpoint, m.Log)
		}
	}
	return table(w, []string{"MOUNT POINT", "STATE", "PID", "SINCE", "HEARD FROM THE DATABASE"}, list(rows, func(m mountRow) []string {
		var s struct {
			HeardAt time.Time `json:"heard_at"`
		}
		heard := "-"
		if json.Unmarshal(m.Status, &s) == nil && !s.HeardAt.IsZero() {
			heard = clock(s.HeardAt)
		}
		return []string{m.Mountpoint, m.State, strconv.Itoa(m.PID), clock(*m.StartedAt), heard}
	}))
}
