package ingest_test

import (
	"bytes"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/internal/ingest"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

// lossy is a way to PostgreSQL that can lose the answer to a commit.
type lossy struct {
	server string // socket

	mu    sync.Mutex // guards what follows
	armed bool       // the answer to the next commit is lost
	away  bool       // and after that nobody gets through
	cut   bool
	open  map[net.Conn]struct{}
}

// newLossy returns the way, and the URL of the database at its end.
func newLossy(t *testing.T, database string) (*lossy, string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	socket := ".s.PGSQL." + q.Get("port")
	l := &lossy{server: filepath.Join(q.Get("host"), socket), open: map[net.Conn]struct{}{}}
	dir, err := os.MkdirTemp("", "lossy") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	listener, err := net.Listen("unix", filepath.Join(dir, socket))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		l.closeAll()
		all.Wait()
	})
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { l.serve(client) })
		}
	})
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	return l, u.String()
}

func (l *lossy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", l.server)
	if err != nil {
		return
	}
	defer server.Close()
	if !l.add(client) {
		return
	}
	defer l.remove(client)
	lose := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer client.Close()
		l.answer(client, server, lose)
	}()
	defer func() { server.Close(); <-done }()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if bytes.Contains(buf[:n], []byte("commit\x00")) && l.fire(client) {
			close(lose)
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// answer brings the server's answers to the client, until one of them is to be lost: then it waits until the server is
// ready for the next query, so that it has committed.
func (l *lossy) answer(client, server net.Conn, lose <-chan struct{}) {
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		select {
		case <-lose:
			if n >= 6 && buf[n-6] == 'Z' {
				return
			}
			continue
		default:
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

// fire tells whether the answer to what client sends is to be lost. Where nobody gets through after that, nobody else does
// from now on.
func (l *lossy) fire(client net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.armed {
		return false
	}
	l.armed, l.cut = false, true
	for c := range l.open {
		if l.away && c != client {
			c.Close()
		}
	}
	return true
}

func (l *lossy) add(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away && l.cut {
		return false
	}
	l.open[c] = struct{}{}
	return true
}

func (l *lossy) remove(c net.Conn) {
	l.mu.Lock()
	away := l.away && l.cut
	delete(l.open, c)
	l.mu.Unlock()
	if away {
		l.closeAll()
	}
}

func (l *lossy) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		c.Close()
	}
}

func (l *lossy) set(armed, away bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed, l.away, l.cut = armed, away, false
}

// leave has nobody get through any more.
func (l *lossy) leave() {
	l.mu.Lock()
	l.away, l.cut = true, true
	l.mu.Unlock()
	l.closeAll()
}

// loseCommitOf loses the answer to the commit that registers what f publishes next.
func (l *lossy) loseCommitOf(f *fixture, away bool) {
	f.FailAt(func(step string) error {
		if step == "stored" {
			l.set(true, away)
		}
		return nil
	})
}

func (l *lossy) wasCut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut
}

// lostCases are publications that are stored in different ways.
func lostCases(t *testing.T, f *fixture, prefix string) map[string]ingest.Batch {
	t.Helper()
	f.ids++
	return map[string]ingest.Batch{
		"acme/crm/people one":  one(f.stagePeople(t, prefix+".parquet", f.ids*100, 1)),
		"acme/crm/people many": {Files: []ingest.File{f.stagePeople(t, prefix+"1.parquet", f.ids*100+1, 1), f.stagePeople(t, prefix+"2.parquet", f.ids*100+2, 1)}},
		"acme/crm/photos one":  one(f.stage(t, prefix+"/a.txt", []byte(prefix))),
		"acme/crm/photos big":  one(f.stage(t, prefix+"/b.bin", append(make([]byte, 300<<10), prefix...))),
	}
}

// TestPublish_LostAnswer loses the answer of PostgreSQL to the commit: the files are published, once, and the writer is
// told so.
func TestPublish_LostAnswer(t *testing.T) {
	way, through := newLossy(t, metadbtest.Postgres(t))
	f := newFixture(t, through, "file://"+t.TempDir())
	for name, b := range lostCases(t, f, "before") {
		to, _, _ := strings.Cut(name, " ")
		f.publish(t, to, b)
	}
	for name, b := range lostCases(t, f, "lost") {
		t.Run(name, func(t *testing.T) {
			to, _, _ := strings.Cut(name, " ")
			before := len(f.active(t, to))
			way.loseCommitOf(f, false)
			p := f.publish(t, to, b)
			if !way.wasCut() {
				t.Fatal("no answer was lost")
			}
			for _, file := range p {
				if file.ID == 0 {
					t.Errorf("published %+v has no row", file)
				}
			}
			if got := len(f.active(t, to)); got != before+len(b.Files) {
				t.Errorf("the table has %d files, want %d", got, before+len(b.Files))
			}
		})
	}
	if err := f.Close(t.Context()); err != nil {
		t.Error(err)
	}
	f.wantNothingLeft(t)
}

// TestPublish_LostDatabase loses the answer and then the database: the writer is told that it failed, what it staged is
// there, and what was published all the same is found by Recover, which leaves no second copy.
func TestPublish_LostDatabase(t *testing.T) {
	way, through := newLossy(t, metadbtest.Postgres(t))
	f := newFixture(t, through, "file://"+t.TempDir())
	for name, b := range lostCases(t, f, "before") {
		to, _, _ := strings.Cut(name, " ")
		f.publish(t, to, b)
	}
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, b := range lostCases(t, f, "lost") {
		t.Run(name, func(t *testing.T) {
			victim := f.again(t)
			to, _, _ := strings.Cut(name, " ")
			before := len(victim.active(t, to))
			tab := victim.tableOf(t, to)
			was := staged(t, b)
			way.loseCommitOf(victim, true)
			if p, err := victim.Publish(t.Context(), tab, b); err == nil {
				t.Errorf("Publish without an answer: got %v, want an error", p)
			}
			if !way.wasCut() {
				t.Fatal("no answer was lost")
			}
			if diff := cmp.Diff(was, staged(t, b)); diff != "" {
				t.Errorf("staged (-before +after):\n%s", diff)
			}
			way.set(false, false)
			g := f.again(t)
			if err := g.Recover(t.Context()); err != nil {
				t.Fatalf("Recover: %v", err)
			}
			if got := len(g.active(t, to)); got != before+len(b.Files) {
				t.Errorf("the table has %d files, want %d", got, before+len(b.Files))
			}
			for _, file := range b.Files {
				if _, err := os.Lstat(file.Path); err == nil {
					t.Errorf("%s is published and staged", file.Path)
				}
			}
			if err := g.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
