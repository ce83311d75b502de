package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// job is one piece of work, done by a process of its own.
type job struct {
	Work   string
	Dir    string // the table's directory
	Status string // status.json of the mount, where it has one
	N      int
	Runs   int // of which the best counts

	Repo, Tree string // for the works "fill" and "bare"
	Sizes      sizes
	Cached     bool // for the work "bare"
}

// outcome is what came of a job.
type outcome struct {
	Seconds  float64
	Requests map[string]float64 // that reached the daemon meanwhile
}

// works prepare some work and return what is measured.
var works = map[string]func(job) (func() error, error){
	"read": reading, "pread": preading, "mmap": mapping, "ls": listingWith("ls", "-l"), "find": findingWith,
	"stat": statting, "open": opening,
}

// work does the job that text describes, and writes its outcome.
func work(ctx context.Context, text string, out io.Writer) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	switch j.Work {
	case "fill":
		return fill(ctx, j)
	case "bare":
		return serveBare(ctx, j)
	}
	prepare, ok := works[j.Work]
	if !ok {
		return fmt.Errorf("no work %q", j.Work)
	}
	run, err := prepare(j)
	if err != nil {
		return err
	}
	o, err := timed(j, run)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(o)
}

// timed runs as often as the job says, takes the best time, and counts the requests of one run, less those that
// reading the counts takes.
func timed(j job, run func() error) (outcome, error) {
	var counts [3]map[string]float64
	for i := range 2 {
		var err error
		if counts[i], err = requests(j.Status); err != nil {
			return outcome{}, err
		}
	}
	o := outcome{Seconds: math.Inf(1)}
	for range j.Runs {
		begin := time.Now()
		if err := run(); err != nil {
			return o, err
		}
		o.Seconds = min(o.Seconds, time.Since(begin).Seconds())
	}
	var err error
	if counts[2], err = requests(j.Status); err != nil || j.Status == "" {
		return o, err
	}
	o.Requests = map[string]float64{}
	for name, n := range counts[2] {
		if n -= counts[1][name] + counts[1][name] - counts[0][name]; n > 0 {
			o.Requests[name] = n / float64(j.Runs)
		}
	}
	return o, nil
}

// requests are the counts in status.json so far, or none where there is none.
func requests(path string) (map[string]float64, error) {
	if path == "" {
		return nil, nil
	}
	var s struct {
		Requests map[string]float64 `json:"requests"`
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return s.Requests, json.Unmarshal(data, &s)
}

// reading reads all files of a table from begin to end.
func reading(j job) (func() error, error) {
	paths, err := filepath.Glob(filepath.Join(j.Dir, "*"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no files in %s: %w", j.Dir, err)
	}
	buf := make([]byte, 1<<20)
	return func() error {
		for _, path := range paths {
			fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			n := 1
			for n > 0 && err == nil {
				n, err = unix.Read(fd, buf)
			}
			if err := closing(fd, err); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func closing(fd int, err error) error {
	if closeErr := unix.Close(fd); err == nil {
		err = closeErr
	}
	return err
}

// openBig opens the one file of a table.
func openBig(j job) (fd int, size int64, err error) {
	paths, err := filepath.Glob(filepath.Join(j.Dir, "*"))
	if err != nil || len(paths) != 1 {
		return -1, 0, fmt.Errorf("%d files in %s, want one: %w", len(paths), j.Dir, err)
	}
	if fd, err = unix.Open(paths[0], unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return -1, 0, err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return fd, st.Size, err
}

func preading(j job) (func() error, error) {
	fd, size, err := openBig(j)
	if err != nil {
		return nil, err
	}
	const length = 4096
	source := rand.New(rand.NewPCG(1, uint64(size)))
	offsets := make([]int64, j.N)
	for i := range offsets {
		offsets[i] = source.Int64N(size/length) * length
	}
	buf := make([]byte, length)
	return func() error {
		for _, off := range offsets {
			if _, err := unix.Pread(fd, buf, off); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// mapping touches each page once.
func mapping(j job) (func() error, error) {
	fd, size, err := openBig(j)
	if err != nil {
		return nil, err
	}
	return func() error {
		data, err := unix.Mmap(fd, 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			return err
		}
		sum := 0
		for i := 0; i < len(data); i += 4096 {
			sum += int(data[i])
		}
		if sum == 0 {
			return fmt.Errorf("the file is empty")
		}
		return unix.Munmap(data)
	}, nil
}

func listingWith(tool string, args ...string) func(job) (func() error, error) {
	return func(j job) (func() error, error) {
		path, err := exec.LookPath(tool)
		if err != nil {
			return nil, err
		}
		return func() error {
			cmd := exec.Command(path, append([]string{j.Dir}, args...)...)
			cmd.Stderr = os.Stderr
			return cmd.Run()
		}, nil
	}
}

func findingWith(j job) (func() error, error) { return listingWith("find", "-size", "+1")(j) }

// names enters the table's directory and lists it, so that the depth of the path to it counts for nobody.
func names(j job) ([]string, error) {
	if err := os.Chdir(j.Dir); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(".")
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = e.Name()
	}
	return list, err
}

// known repeats a deed on each file of the table, having done it once before.
func known(j job, deed func(name string) error) (func() error, error) {
	list, err := names(j)
	if err != nil {
		return nil, err
	}
	pass := func(passes int) error {
		for range passes {
			for _, name := range list {
				if err := deed(name); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return func() error { return pass(j.N) }, pass(1)
}

func statting(j job) (func() error, error) {
	var st unix.Stat_t
	return known(j, func(name string) error { return unix.Stat(name, &st) })
}

func opening(j job) (func() error, error) {
	buf := make([]byte, 4096)
	return known(j, func(name string) error {
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		_, err = unix.Read(fd, buf)
		return closing(fd, err)
	})
}
