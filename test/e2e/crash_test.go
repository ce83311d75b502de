package e2e_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/annexfs/annexfs/test/harness"
)

// Environment variables of TestCrash.
const (
	crashRounds = "ANNEXFS_CRASH_ROUNDS" // in all, half of them on each database
	crashSeed   = "ANNEXFS_CRASH_SEED"   // of the moments; what they hit varies all the same
)

// crashDelay is the longest time that writers have before the daemon is killed.
const crashDelay = 150 * time.Millisecond

// TestCrash kills the daemon with SIGKILL at random moments while files and batches come in. After each restart every
// file that was acknowledged is there with its content, of a batch that was not all or nothing, and nothing twice; what
// was staged is there still, no lock stays, and what was not acknowledged succeeds when it is tried again.
func TestCrash(t *testing.T) {
	rounds := setting(t, crashRounds, 20)
	seed := uint64(setting(t, crashSeed, int(time.Now().UnixNano()&0xffffff)))
	u := harness.Users(t)[0]
	t.Run("embedded", func(t *testing.T) { crash(t, u, harness.Backend{}, seed, (rounds+1)/2) })
	t.Run("server", func(t *testing.T) { crash(t, u, harness.Servers(t), seed, rounds/2) })
}

func crash(t *testing.T, u harness.User, backend harness.Backend, seed uint64, rounds int) {
	t.Helper()
	b := newBed(t, u, backend, tables{"orders": orderTable, "totals": orderTable, "photos": filesTable})
	c := &crasher{bed: b, seen: map[string]string{}, random: rand.New(rand.NewPCG(seed, 0))}
	for range rounds {
		c.round(t)
		if t.Failed() {
			break
		}
	}
	t.Logf("counted: %d kills (seed %d); %s", c.kills, seed, &c.ledger)
	c.objects(t)
}

// crasher writes to a bed whose daemon it kills.
type crasher struct {
	*bed
	ledger
	random *rand.Rand
	next   int // the first id that no file has
	kills  int
	seen   map[string]string // hashes of orders and content of photos, by the names that were read already
}

// round lets writers write until the daemon is killed, mounts again, and checks.
func (c *crasher) round(t *testing.T) {
	t.Helper()
	var writers sync.WaitGroup
	for _, job := range []func(t *testing.T) func(){c.files, c.batches, c.replacements, c.photos} {
		writers.Go(job(t))
	}
	delay := time.Duration(c.random.Int64N(int64(crashDelay)))
	time.Sleep(delay) // the moment is the point
	if err := syscall.Kill(c.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.kills++
	harness.WaitGone(t, c.PID)
	writers.Wait()
	c.Must("umount", c.Point)
	c.Mount = c.MountOn(c.Point)
	c.check(t)
	c.retry(t)
	c.check(t)
	c.unlocked(t)
}

// unlocked checks that no lock stays: neither the killed daemon's, nor for long the one of what came in since.
func (c *crasher) unlocked(t *testing.T) {
	t.Helper()
	c.locks++
	harness.Eventually(t, 5*time.Second, func() string {
		for _, table := range []string{"orders", "totals", "photos"} {
			if job := lockedBy(t, harness.ReadFile(t, c.table(table, ".table.json"))); job != 0 {
				return fmt.Sprintf("%s is locked by job %d", table, job)
			}
		}
		return ""
	})
	c.locks--
}

// prepared is how many files each writer gets ready before a round, more than it can write.
const prepared = 60

// order makes a parquet file of its own content.
func (c *crasher) order(t *testing.T, dir string) piece {
	t.Helper()
	path := filepath.Join(dir, fmt.Sprintf("ids-%d.parquet", c.next))
	harness.WriteParquet(t, path, c.next, 10)
	c.next += 10
	content := harness.ReadFile(t, path)
	return piece{name: filepath.Base(path), content: content, hash: hashOf(content)}
}

// files writes one file after another into a table, until one fails.
func (c *crasher) files(t *testing.T) func() {
	dir := c.newDir(t)
	var pieces []piece
	for range prepared {
		pieces = append(pieces, c.order(t, dir))
	}
	return func() {
		for _, p := range pieces {
			a := &attempt{dir: c.staging("orders"), pieces: []piece{p}}
			if c.write(a); a.err != nil {
				return
			}
		}
	}
}

// batches does so with batches.
func (c *crasher) batches(t *testing.T) func() { return c.batchesOf(t, "orders/append", "orders") }

// replacements does so with batches that replace a table's content.
func (c *crasher) replacements(t *testing.T) func() {
	return c.batchesOf(t, "totals/replace", "totals")
}

func (c *crasher) batchesOf(t *testing.T, below, table string) func() {
	dir := c.newDir(t)
	var attempts []*attempt
	for range prepared / 3 {
		a := &attempt{dir: c.staging(below, itoa(c.next)), batch: true, replaces: table == "totals"}
		for range 3 {
			a.pieces = append(a.pieces, c.order(t, dir))
		}
		attempts = append(attempts, a)
	}
	return func() {
		for _, a := range attempts {
			if c.write(a); a.err != nil {
				return
			}
		}
	}
}

// photos does so with files of a files table.
func (c *crasher) photos(*testing.T) func() {
	var attempts []*attempt
	for range prepared {
		content := fmt.Sprintf("photo %d", c.next)
		switch c.next / 10 % 8 { // each size is stored in a way of its own
		case 3:
			content += strings.Repeat(".", 100<<10)
		case 6:
			content += strings.Repeat(".", 300<<10)
		}
		p := piece{name: fmt.Sprintf("photo-%d.jpg", c.next), content: content, hash: hashOf(content)}
		attempts = append(attempts, &attempt{dir: c.staging("photos"), photo: true, pieces: []piece{p}})
		c.next += 10
	}
	return func() {
		for _, a := range attempts {
			if c.write(a); a.err != nil {
				return
			}
		}
	}
}

// write tries what an attempt is, and notes it.
func (c *crasher) write(a *attempt) {
	a.err = a.run()
	c.note(a)
}

// run writes the pieces and, of a batch, creates _SUCCESS.
func (a *attempt) run() error {
	if a.batch {
		if err := os.MkdirAll(a.dir, 0o755); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(a.dir, "_SUCCESS")); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	for i := range a.pieces {
		p := &a.pieces[i]
		if p.written {
			continue // it is staged
		}
		f, err := os.OpenFile(filepath.Join(a.dir, p.name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
		if err != nil {
			return err
		}
		_, err = f.WriteString(p.content)
		p.written = err == nil
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	if a.batch {
		return commit(a.dir)
	}
	return nil
}
