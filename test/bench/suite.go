package main

import (
	"fmt"
	"strings"
)

// state is how the caches are before a measurement.
type state int

const (
	warm  state = iota // the same work was done before
	cold               // the kernel has dropped its caches, the file system's beneath and the mount's
	fresh              // the mount is new, the files beneath are cached
)

// Row is one kind of work, and what it must not cost more than: ratios to plain files, 0 where there is no aim.
type Row struct {
	Name         string
	Aim, UserAim float64

	table string
	work  string // of a worker, or "query" and what
	n     int
	per   int // items that one measurement handles
	state state
	turns int // at least, of what is compared most closely: plain files, annexfs and bare ones
}

const (
	queryPrefix = "query "
	queryAim    = 1.02
	crowdAim    = 1.05 // of 16 queries at once
	readAim     = 1.05
	userQuery   = 1.05
	userCold    = 1 / 0.7 // at least 0.7 of the disk's speed
	crowd       = 16
)

// suite is everything that is compared with plain files.
func suite(s sizes) []Row {
	var rows []Row
	for _, q := range []struct{ name, work string }{
		{"DuckDB, TPC-H Q1", "q01"}, {"DuckDB, TPC-H Q6", "q06"}, {"DuckDB, count, min and max", "aggregate"},
	} {
		many := fmt.Sprintf("%s, %d small files, ", q.name, s.ManyFiles)
		rows = append(rows, Row{Name: q.name + ", warm", Aim: queryAim, UserAim: userQuery, table: tableQueries, work: queryPrefix + q.work, n: 1},
			Row{Name: q.name + ", cold", Aim: queryAim, table: tableQueries, work: queryPrefix + q.work, n: 1, state: cold, turns: s.ColdQueries},
			Row{Name: many + "warm", table: tableMany, work: queryPrefix + q.work, n: 1},
			Row{Name: many + "cold", table: tableMany, work: queryPrefix + q.work, n: 1, state: cold})
	}
	name := fmt.Sprintf("DuckDB, %d queries at once", crowd)
	rows = append(rows, Row{Name: name + ", warm", Aim: crowdAim, UserAim: userQuery, table: tableQueries, work: queryPrefix + "all", n: crowd},
		Row{Name: name + ", cold", Aim: crowdAim, table: tableQueries, work: queryPrefix + "all", n: crowd, state: cold})
	big := fmt.Sprintf(" of %s, ", bytesText(s.BigBytes))
	rows = append(rows,
		Row{Name: "sequential read" + big + "warm", Aim: readAim, table: tableBig, work: "read"},
		Row{Name: "sequential read" + big + "cold", Aim: readAim, UserAim: userCold, table: tableBig, work: "read", state: cold},
		Row{Name: "random 4 KiB reads, warm", Aim: readAim, table: tableBig, work: "pread", n: s.Preads, per: s.Preads},
		Row{Name: "random 4 KiB reads, cold", Aim: readAim, table: tableBig, work: "pread", n: s.ColdPreads, per: s.ColdPreads, state: cold},
		Row{Name: "mmap" + big + "warm", Aim: readAim, table: tableBig, work: "mmap"},
		Row{Name: "mmap" + big + "cold", Aim: readAim, table: tableBig, work: "mmap", state: cold})
	for _, n := range s.Listings {
		for _, tool := range []string{"ls -l", "find -size +1"} {
			work := strings.Fields(tool)[0]
			name := fmt.Sprintf("`%s` of %s files, ", tool, thousands(n))
			rows = append(rows, Row{Name: name + "first time after mount", Aim: 4, table: listing(n), work: work, state: fresh},
				Row{Name: name + "second time", Aim: 1.3, table: listing(n), work: work})
		}
	}
	stats := s.Stats * s.SmallFiles
	return append(rows,
		Row{Name: fmt.Sprintf("stat of %d known paths", s.ManyFiles), Aim: 1, table: tableMany, work: "stat", n: stats / s.ManyFiles, per: stats},
		Row{Name: fmt.Sprintf("stat of %s known paths", thousands(s.SmallFiles)), Aim: 1, table: tableSmall, work: "stat", n: s.Stats, per: stats},
		Row{Name: "open, read 4 KiB, close of known small files", table: tableSmall, work: "open", n: s.Opens, per: s.Opens * s.SmallFiles})
}
