package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/annexfs/annexfs/internal/repo"
	"github.com/annexfs/annexfs/test/harness"
)

// piece is a file of an attempt.
type piece struct {
	name, content, hash string
	written             bool // all bytes; its close may have failed
}

// attempt is a file or a batch that was written, and acknowledged if err is nil.
type attempt struct {
	dir             string
	pieces          []piece
	batch, replaces bool
	photo           bool
	err             error
}

// ledger is what was tried.
type ledger struct {
	mu           sync.Mutex
	acknowledged []*attempt
	open         []*attempt // not acknowledged, and not yet tried again
	last         *attempt   // the replacement acknowledged last

	files, batches, replacements int // acknowledged
	found, absent                int // not acknowledged, and published or not
	rows, half, twice, locks     int
}

func (l *ledger) note(a *attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.err != nil {
		l.open = append(l.open, a)
		return
	}
	switch {
	case a.replaces:
		l.replacements++
		l.last = a
		return
	case a.batch:
		l.batches++
	default:
		l.files++
	}
	l.acknowledged = append(l.acknowledged, a)
}

func (l *ledger) String() string {
	return fmt.Sprintf("acknowledged %d files, %d batches, %d replacements, and all were there; of those not acknowledged "+
		"%d were published whole and %d not at all; half visible %d, twice %d, locks left %d; %d files in the table at the end",
		l.files, l.batches, l.replacements, l.found, l.absent, l.half, l.twice, l.locks, l.rows)
}

// check compares the tables with the ledger.
func (c *crasher) check(t *testing.T) {
	t.Helper()
	there := c.hashes(t)
	for _, a := range c.acknowledged {
		if a.photo {
			continue
		}
		if n := a.among(there); n != len(a.pieces) {
			t.Errorf("of an acknowledged attempt, %s, %d of %d files are there", a.pieces[0].name, n, len(a.pieces))
		}
	}
	for _, a := range c.open {
		switch n := a.among(there); {
		case a.replaces || a.photo:
		case n != 0 && n != len(a.pieces):
			c.half++
			t.Errorf("%d of the %d files of a batch that was not acknowledged are there", n, len(a.pieces))
		case n == 0:
			c.staged(t, a)
		}
	}
	c.checkTotals(t)
	c.checkPhotos(t)
}

// among counts the pieces that are there.
func (a *attempt) among(there map[string]bool) (n int) {
	for _, p := range a.pieces {
		if there[p.hash] {
			n++
		}
	}
	return n
}

// hashes are those of the files in the table of orders. What a name holds never changes, so each is read once.
func (c *crasher) hashes(t *testing.T) map[string]bool {
	t.Helper()
	there := map[string]bool{}
	names := harness.Names(t, c.table("orders"))
	for _, name := range names {
		if c.seen[name] == "" {
			c.seen[name] = hashOf(harness.ReadFile(t, c.table("orders", name)))
		}
		if there[c.seen[name]] {
			c.twice++
			t.Errorf("the content of %s is there twice", name)
		}
		there[c.seen[name]] = true
	}
	c.rows = len(names)
	return there
}

// staged checks that what was staged whole and is not published is staged still.
func (c *crasher) staged(t *testing.T, a *attempt) {
	t.Helper()
	for _, p := range a.pieces {
		path := filepath.Join(a.dir, p.name)
		if !p.written {
			continue
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != p.content {
			t.Errorf("%s was written, is not published, and staged are %d of its %d bytes: %v", path, len(data), len(p.content), err)
		}
	}
}

// checkTotals holds that a table which is only ever replaced is one whole batch: the one acknowledged last, or one that
// came after it.
func (c *crasher) checkTotals(t *testing.T) {
	t.Helper()
	var got []string
	for _, name := range harness.Names(t, c.table("totals")) {
		got = append(got, hashOf(harness.ReadFile(t, c.table("totals", name))))
	}
	slices.Sort(got)
	candidates := c.open
	if c.last != nil {
		candidates = append(slices.Clone(c.open), c.last)
	} else if len(got) == 0 {
		return
	}
	for _, a := range candidates {
		var want []string
		for _, p := range a.pieces {
			want = append(want, p.hash)
		}
		slices.Sort(want)
		if a.replaces && slices.Equal(got, want) {
			return
		}
	}
	c.half++
	t.Errorf("the table that is replaced holds %d files that are not one batch written last", len(got))
}

// checkPhotos reads what is there by its name, each once.
func (c *crasher) checkPhotos(t *testing.T) {
	t.Helper()
	there := map[string]bool{}
	for _, name := range harness.Names(t, c.table("photos")) {
		there[name] = true
	}
	for _, a := range slices.Concat(c.acknowledged, c.open) {
		if !a.photo {
			continue
		}
		p := a.pieces[0]
		if !there[p.name] {
			if a.err == nil {
				t.Errorf("an acknowledged photo, %s, is not there", p.name)
			}
			continue
		}
		if c.seen[p.name] == "" {
			c.seen[p.name] = harness.ReadFile(t, c.table("photos", p.name))
		}
		if got := c.seen[p.name]; got != p.content {
			c.half++
			t.Errorf("%s holds %q, want %q", p.name, got, p.content)
		}
	}
}

// retry tries again what was not acknowledged: all of it has to succeed now, but for batches that were published.
func (c *crasher) retry(t *testing.T) {
	t.Helper()
	there := c.hashes(t)
	totals := map[string]bool{}
	for _, name := range harness.Names(t, c.table("totals")) {
		totals[hashOf(harness.ReadFile(t, c.table("totals", name)))] = true
	}
	open := c.open
	c.open = nil
	for _, a := range open {
		published := a.among(there) > 0 || a.replaces && a.among(totals) > 0
		if a.photo {
			_, err := os.Stat(c.table("photos", a.pieces[0].name))
			published = err == nil
		}
		if published {
			c.found++
		} else {
			c.absent++
		}
		if published && a.batch {
			a.err = nil
			c.note(a)
			continue
		}
		if published { // the program is run again
			a.pieces[0].written = false
		}
		c.tryAgain(t, a)
	}
}

func (c *crasher) tryAgain(t *testing.T, a *attempt) {
	t.Helper()
	if !a.batch {
		a.pieces[0].written = false
	}
	if a.err = a.run(); a.err != nil {
		t.Errorf("trying %s/%s again: %v", a.dir, a.pieces[0].name, a.err)
		return
	}
	c.note(a)
}

// objects counts the objects in the store: recovery leaves none that no row names.
func (c *crasher) objects(t *testing.T) {
	t.Helper()
	opened, err := repo.Open(t.Context(), c.Dir, repo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }() // only read
	named := map[string]bool{}
	for _, table := range []string{"orders", "totals"} {
		for _, revision := range harness.Names(t, c.table(table, ".revisions")) {
			for _, name := range harness.Names(t, c.table(table, ".revisions", revision)) {
				url := getxattr(t, c.table(table, ".revisions", revision, name), "user.annexfs.url")
				named[strings.TrimPrefix(url, opened.Objects.URL()+"/")] = true
			}
		}
	}
	orphans := 0
	for o, err := range opened.Objects.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(o.Key, ".parquet") && !named[o.Key] {
			orphans++
			t.Errorf("no row names the object %s", o.Key)
		}
	}
	t.Logf("counted: %d objects that rows name, %d that none does", len(named), orphans)
}

// lockedBy is the job that .table.json says has locked the table, or 0.
func lockedBy(t *testing.T, text string) int64 {
	t.Helper()
	var table struct {
		Writer int64 `json:"writer"`
	}
	if err := json.Unmarshal([]byte(text), &table); err != nil {
		t.Fatalf(".table.json: %v\n%s", err, text)
	}
	return table.Writer
}
