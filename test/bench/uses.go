package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Use is something that annexfs takes from the machine, by target: repeated measurements of it.
type Use struct {
	Name    string
	Unit    string
	Aim     float64 // at most; 0 where there is none
	Digits  int
	Samples map[string][]float64
}

// uses measures what the daemon takes: memory, time to mount, CPU when nobody asks it anything.
func (b *bed) uses(ctx context.Context, only *regexp.Regexp, targets []*target) ([]Use, error) {
	n := thousands(b.Registered)
	mount := Use{Name: "time to mount with " + n + " files registered", Unit: "s", Aim: 1, Digits: 3}
	full := Use{Name: "resident memory after `find -size +1` over " + n + " files", Unit: "MB", Aim: 400}
	peak := Use{Name: "its highest meanwhile", Unit: "MB"}
	after := Use{Name: "resident memory after the kernel forgot them", Unit: "MB"}
	idle := Use{Name: fmt.Sprintf("CPU of an idle mount over %v", b.Idle), Unit: "%", Aim: 0.1, Digits: 3}
	all := []*Use{&mount, &full, &peak, &after, &idle}
	for _, u := range all {
		u.Samples = map[string][]float64{}
	}
	for _, t := range targets {
		if t.absent != "" || !t.annexfs || !only.MatchString("uses") {
			continue
		}
		if err := errors.Join(b.mounting(ctx, t, &mount), b.idling(ctx, t, &idle), b.remembering(ctx, t, &full, &peak, &after), t.stop()); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	done := make([]Use, 0, len(all))
	for _, u := range all {
		if len(u.Samples) > 0 {
			done = append(done, *u)
			say("%s: %v %s", u.Name, u.Samples, u.Unit)
		}
	}
	return done, nil
}

func (u *Use) add(t *target, value float64) { u.Samples[t.name] = append(u.Samples[t.name], value) }

func (b *bed) mounting(ctx context.Context, t *target, mount *Use) error {
	for range b.Repetitions {
		if err := t.stop(); err != nil {
			return err
		}
		took, err := b.start(ctx, t)
		if err != nil {
			return err
		}
		mount.add(t, took.Seconds())
	}
	return nil
}

// idling measures a new mount.
func (b *bed) idling(ctx context.Context, t *target, idle *Use) error {
	if err := pause(ctx, time.Second); err != nil {
		return err
	}
	before, err := cpuTime(t.daemon.cmd.Process.Pid)
	if err != nil {
		return err
	}
	if err := pause(ctx, b.Idle); err != nil {
		return err
	}
	now, err := cpuTime(t.daemon.cmd.Process.Pid)
	idle.add(t, 100*float64(now-before)/float64(b.Idle))
	return err
}

// remembering measures memory with everything known, and after the kernel forgot.
func (b *bed) remembering(ctx context.Context, t *target, full, peak, after *Use) error {
	pid := t.daemon.cmd.Process.Pid
	if _, err := b.do(ctx, job{Work: "find", Runs: 1, Dir: filepath.Join(t.base, tableRows)}); err != nil {
		return err
	}
	for field, u := range map[string]*Use{"VmRSS": full, "VmHWM": peak} {
		n, err := memory(pid, field)
		if err != nil {
			return err
		}
		u.add(t, n)
	}
	if b.user == nil {
		return nil
	}
	if err := dropCaches("2"); err != nil {
		return err
	}
	// Memory goes back slowly: the collector of a process that does nothing runs every two minutes.
	before := full.Samples[t.name][0]
	least := before
	for begin := time.Now(); time.Since(begin) < b.forgetting() && least > before/2; {
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		n, err := memory(pid, "VmRSS")
		if err != nil {
			return err
		}
		least = min(least, n)
	}
	after.add(t, least)
	return nil
}

// forgetting is how long memory may take to fall.
func (b *bed) forgetting() time.Duration {
	if b.Quick {
		return 5 * time.Second
	}
	return 130 * time.Second
}

// memory is a field of /proc/PID/status in megabytes.
func memory(pid int, field string) (float64, error) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kilobytes, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kilobytes * 1024 / 1e6, err
		}
	}
	return 0, fmt.Errorf("process %d has no %s", pid, field)
}

// cpuTime is what the threads of a process have spent: the scheduler's own count, finer than the ticks of stat.
func cpuTime(pid int) (time.Duration, error) {
	paths, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "schedstat"))
	if err != nil || len(paths) == 0 {
		return 0, fmt.Errorf("process %d: no scheduler statistics: %w", pid, err)
	}
	var total time.Duration
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(data), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(n)
	}
	return total, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
