package fs

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// metric is a family of samples in the Prometheus text format, version 0.0.4.
type metric struct {
	name, help string
	kind       string // counter or gauge
	samples    []sample
}

type sample struct {
	label, of string // name and value of the only label, or ""
	value     float64
}

const (
	counter = "counter"
	gauge   = "gauge"
)

func one(value float64) []sample { return []sample{{value: value}} }

func flag(b bool) []sample {
	if b {
		return one(1)
	}
	return one(0)
}

// seconds since the epoch.
func seconds(t time.Time) []sample { return one(float64(t.UnixMicro()) / 1e6) }

// metrics are the numbers of status.json.
func (s Status) metrics() []metric {
	var requests []sample
	for _, name := range slices.Sorted(maps.Keys(s.Requests)) {
		requests = append(requests, sample{"op", name, float64(s.Requests[name])})
	}
	p := s.Passthrough
	return []metric{
		{"annexfs_info", "The program that serves the mount.", gauge, []sample{{"version", s.Version, 1}}},
		{"annexfs_start_time_seconds", "When the mount was made.", gauge, seconds(s.StartedAt)},
		{"annexfs_database_heard_time_seconds", "When the database last answered: listings are no older.", gauge, seconds(s.HeardAt)},
		{"annexfs_database_change", "Number of the last change that was followed.", gauge, one(float64(s.Change))},
		{"annexfs_database_queries_total", "Statements sent to the database.", counter, one(float64(s.MetadataQueries))},
		{"annexfs_requests_total", "FUSE requests that reached the daemon.", counter, requests},
		{"annexfs_errors_total", "Requests that failed for a reason the reader cannot see.", counter, one(float64(s.Errors))},
		{"annexfs_read_bytes_total", "Bytes that readers got through the daemon.", counter, one(float64(s.BytesRead))},
		{"annexfs_fetched_bytes_total", "Bytes of objects that came from the bucket.", counter, one(float64(s.BytesFetched))},
		{"annexfs_notifications_total", "Names and contents that the kernel was told to forget.", counter, one(float64(s.Notifications))},
		{"annexfs_nodes", "Directories, symlinks and generated files that the kernel knows.", gauge, one(float64(s.Nodes))},
		{"annexfs_handles", "Open directories and generated files.", gauge, one(float64(s.Handles))},
		{"annexfs_open_files", "Files that are open.", gauge, one(float64(s.OpenFiles))},
		{"annexfs_passthrough_enabled", "Whether the kernel reads local files by itself.", gauge, flag(p.Enabled)},
		{"annexfs_passthrough_registered_total", "Files that the kernel was given to read.", counter, one(float64(p.Registered))},
		{"annexfs_passthrough_failures_total", "Files that the kernel would not take.", counter, one(float64(p.Failures))},
		{"annexfs_passthrough_idle", "Files that the kernel keeps though they are closed.", gauge, one(float64(p.Idle))},
		{"annexfs_staging", "Whether the mount can be written to.", gauge, flag(s.Staging)},
	}
}

var escapeLabel = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func marshalMetrics(all []metric) []byte {
	var b bytes.Buffer
	for _, m := range all {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", m.name, m.help, m.name, m.kind)
		for _, s := range m.samples {
			label := ""
			if s.label != "" {
				label = "{" + s.label + `="` + escapeLabel.Replace(s.of) + `"}`
			}
			fmt.Fprintf(&b, "%s%s %.16g\n", m.name, label, s.value)
		}
	}
	return b.Bytes()
}
