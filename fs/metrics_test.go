package fs_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/annexfs/annexfs/fs"
)

var (
	typeLine   = regexp.MustCompile(`^# TYPE (annexfs_[a-z_]+) (counter|gauge)$`)
	sampleLine = regexp.MustCompile(`^(annexfs_[a-z_]+)(\{[a-z]+="(?:[^"\\]|\\["\\n])*"\})? (\S+)$`)
)

// TestMount_Metrics holds that .annexfs/metrics is in the Prometheus text format and tells what status.json tells.
func TestMount_Metrics(t *testing.T) {
	r := newRepo(t)
	file := r.orders(false, "content")[0]
	mnt, server := r.mount(fs.Options{Version: "1 \"two\" \\three\nfour"})
	must[[]byte](t)(os.ReadFile(mnt + "/acme/sales/@1.0.0/orders/" + file))
	eventually(t, "the file is released", func() bool { return server.Status().OpenFiles == 0 })
	text := string(must[[]byte](t)(os.ReadFile(mnt + "/.annexfs/metrics")))
	values, family, kind := map[string]float64{}, "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "# HELP ") {
			continue
		}
		if m := typeLine.FindStringSubmatch(line); m != nil {
			family, kind = m[1], m[2]
			if strings.HasSuffix(family, "_total") != (kind == "counter") {
				t.Errorf("%s is a %s", family, kind)
			}
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil || m[1] != family {
			t.Fatalf("line %q is no sample of %s", line, family)
		}
		if _, again := values[m[1]+m[2]]; again {
			t.Errorf("%s%s twice", m[1], m[2])
		}
		values[m[1]+m[2]] = must[float64](t)(strconv.ParseFloat(m[3], 64))
	}
	s := server.Status()
	for name, want := range map[string]float64{
		`annexfs_info{version="1 \"two\" \\three\nfour"}`: 1,
		`annexfs_requests_total{op="OPEN"}`:               float64(s.Requests["OPEN"]), // with that of metrics itself
		"annexfs_passthrough_registered_total":            float64(s.Passthrough.Registered),
		"annexfs_start_time_seconds":                      float64(s.StartedAt.UnixMicro()) / 1e6,
		"annexfs_staging":                                 0,
	} {
		if got, ok := values[name]; !ok || got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}
