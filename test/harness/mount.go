package harness

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Mount is a repository's tree on a mount point, served by a daemon.
type Mount struct {
	Point string
	PID   int // of the daemon

	repo *Repo
	t    testing.TB
}

// Mount mounts the repository in the background on a new directory. When the test ends it is unmounted, and the daemon
// gone, whatever happened.
func (r *Repo) Mount(args ...string) *Mount {
	r.t.Helper()
	return r.MountOn(r.NewPoint(), args...)
}

// NewPoint makes an empty directory to mount on. What is mounted there when the test ends is unmounted.
func (r *Repo) NewPoint() string {
	r.t.Helper()
	point := filepath.Join(Dir(r.t), "mnt")
	if err := os.Mkdir(point, 0o755); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { r.clean(point) })
	return point
}

// MountOn mounts in the background on an existing directory from NewPoint.
func (r *Repo) MountOn(point string, args ...string) *Mount {
	r.t.Helper()
	r.Must(slices.Concat([]string{"mount"}, args, []string{point})...)
	pids := daemons(Program(r.t), point)
	if len(pids) != 1 {
		r.t.Fatalf("annexfs mount %s came back; daemons that serve it: %v, want one", point, pids)
	}
	return &Mount{Point: point, PID: pids[0], repo: r, t: r.t}
}

// clean unmounts and ends whatever is left on a mount point, by force where need be, and says what was left.
func (r *Repo) clean(point string) {
	r.t.Helper()
	pids := daemons(Program(r.t), point)
	if mounted(point) {
		if result := r.Run("umount", point); result.Code != 0 {
			r.t.Errorf("annexfs umount %s: exit status %d: %s", point, result.Code, result.Stderr)
		}
	}
	for range 10 {
		if !mounted(point) {
			break
		}
		r.Exec("fusermount3", "-uz", point)
	}
	if mounted(point) {
		r.t.Errorf("%s is still mounted", point)
	}
	deadline := time.Now().Add(10 * time.Second)
	for slices.ContainsFunc(pids, alive) {
		if time.Now().After(deadline) {
			r.t.Errorf("daemons %v of %s still run 10 s after the unmount: killed", pids, point)
			kill(pids)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func kill(pids []int) {
	for _, pid := range pids {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill() // it may be gone
		}
	}
}

// Unmount unmounts with the program's own command and waits until the daemon is gone.
func (m *Mount) Unmount() {
	m.t.Helper()
	m.repo.Must("umount", m.Point)
	if mounted(m.Point) {
		m.t.Fatalf("annexfs umount came back and %s is still mounted", m.Point)
	}
	WaitGone(m.t, m.PID)
}

// Path is a path below the mount point.
func (m *Mount) Path(names ...string) string {
	return filepath.Join(append([]string{m.Point}, names...)...)
}

// Status is what .annexfs/status.json says, by the names it uses there.
type Status struct {
	PID             int              `json:"pid"`
	Mountpoint      string           `json:"mountpoint"`
	Version         string           `json:"version"`
	HeardAt         time.Time        `json:"heard_at"`
	Change          int64            `json:"change"`
	MetadataQueries int64            `json:"metadata_queries"`
	Requests        map[string]int64 `json:"requests"`
	BytesRead       int64            `json:"bytes_read"`
	Passthrough     struct {
		Enabled    bool  `json:"enabled"`
		Registered int64 `json:"registered"`
		Failures   int64 `json:"failures"`
	} `json:"passthrough"`
}

// Status reads status.json.
func (m *Mount) Status() Status {
	m.t.Helper()
	data, err := os.ReadFile(m.Path(".annexfs", "status.json"))
	if err != nil {
		m.t.Fatal(err)
	}
	var s Status
	if err := json.Unmarshal(data, &s); err != nil {
		m.t.Fatalf("status.json: %v\n%s", err, data)
	}
	return s
}

// Names are the names that a directory lists, sorted.
func Names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

// ReadFile is the content of a file.
func ReadFile(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// ReadLink is what a symlink says.
func ReadLink(t testing.TB, path string) string {
	t.Helper()
	target, err := os.Readlink(path)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// Memory is a field of the daemon's /proc status in bytes, such as VmRSS or VmHWM.
func (m *Mount) Memory(field string) int64 {
	m.t.Helper()
	for line := range strings.Lines(ReadFile(m.t, filepath.Join("/proc", itoa(m.PID), "status"))) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			return kilobytes(m.t, rest)
		}
	}
	m.t.Fatalf("process %d has no %s", m.PID, field)
	return 0
}
