package ingest

import (
	"io"
	"sync"
	"time"
)

// reportEvery is the least time between two reports of progress within files.
const reportEvery = 100 * time.Millisecond

// meter adds up what the workers have done and reports it.
type meter struct {
	report func(Progress) // nil: nobody listens

	mu   sync.Mutex // guards the rest, and is held during a report so that one is made at a time
	now  Progress
	last time.Time
}

func newMeter(report func(Progress), sources []source) *meter {
	m := &meter{report: report, now: Progress{TotalFiles: len(sources)}}
	for _, s := range sources {
		m.now.TotalBytes += s.size
	}
	return m
}

func (m *meter) add(files int, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.Files += files
	m.now.Bytes += bytes
	if m.report == nil || files == 0 && time.Since(m.last) < reportEvery {
		return
	}
	m.last = time.Now()
	m.report(m.now)
}

// metered counts what is read through it.
type metered struct {
	io.Reader
	meter *meter
}

func (r metered) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.meter.add(0, int64(n))
	return n, err
}
