package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine is where and when a run took place.
type machine struct {
	CPU        string
	Cores      int
	Memory     string
	Kernel     string
	FileSystem string
	Date       string
	LoadBefore string
	LoadAfter  string
	Versions   []string
}

func (b *bed) machine(ctx context.Context) machine {
	m := machine{Date: time.Now().Format("2006-01-02"), LoadBefore: loadAverage(), FileSystem: fileSystem(b.dir)}
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo") // what cannot be read stays empty
	for line := range strings.Lines(string(cpuinfo)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
			m.Cores++
		}
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.Memory = fmt.Sprintf("%.0f GiB", float64(info.Totalram)*float64(info.Unit)/(1<<30))
	}
	var uname unix.Utsname
	if unix.Uname(&uname) == nil {
		m.Kernel = "Linux " + string(bytes.TrimRight(uname.Release[:], "\x00"))
	}
	m.Versions = b.versions(ctx)
	return m
}

func loadAverage() string {
	data, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(data), " ")
	return first
}

// fileSystem is the type of what a directory lies on.
func fileSystem(dir string) string {
	var best, kind string
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) > 2 && len(f[1]) >= len(best) && (f[1] == "/" || dir == f[1] || strings.HasPrefix(dir, f[1]+"/")) {
			best, kind = f[1], f[2]
		}
	}
	return kind
}

// versions are those of what is compared, as the programs tell them.
func (b *bed) versions(ctx context.Context) []string {
	var list []string
	if info, err := buildinfo.ReadFile(b.annexfs); err == nil {
		for _, dep := range info.Deps {
			if dep.Path == "github.com/hanwen/go-fuse/v2" {
				list = append(list, "go-fuse "+dep.Version)
			}
		}
	}
	rclone := b.root + "/.tools/bin/rclone"
	for _, args := range [][]string{
		{b.annexfs, "version"}, {b.python, "-c", "import duckdb; print('DuckDB', duckdb.__version__)"},
		{rclone, "version"}, {"bindfs", "--version"}, {"fusermount3", "--version"}, {"ls", "--version"},
	} {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		if out, err := cmd.Output(); err == nil {
			first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
			list = append(list, first)
		}
	}
	return list
}
