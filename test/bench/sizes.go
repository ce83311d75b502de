package main

import "time"

// sizes of the work.
type sizes struct {
	Quick        bool
	Scale        float64 // of TPC-H: 1 is 6 million rows
	ParquetFiles int     // of lineitem, as large as engines write them
	ManyFiles    int     // of the same data in small files
	BigBytes     int64   // of the file that is read sequentially and at random
	SmallFiles   int
	SmallBytes   int
	Listings     []int // files of each table that is listed
	Registered   int   // files of the table that memory and mount time are measured with; rows without content
	Preads       int   // warm
	ColdPreads   int
	Stats        int           // passes over all small files
	Opens        int           // likewise
	Repetitions  int           // of each row, at least
	ColdQueries  int           // those of a single cold query, which scatters most; of plain files, annexfs and bare ones only
	Budget       time.Duration // rows go on to be measured for so long
	Idle         time.Duration // longer than Go lets pass without a collection
}

func fullSizes() sizes {
	return sizes{Scale: 2, ParquetFiles: 4, ManyFiles: 24, BigBytes: 512 << 20, SmallFiles: 2000, SmallBytes: 4096,
		Listings: []int{20_000, 100_000}, Registered: 1_000_000, Preads: 100_000, ColdPreads: 1000, Stats: 50, Opens: 5,
		Repetitions: 5, ColdQueries: 31, Budget: 25 * time.Second, Idle: 130 * time.Second}
}

func quickSizes() sizes {
	return sizes{Quick: true, Scale: 0.05, ParquetFiles: 2, ManyFiles: 4, BigBytes: 64 << 20, SmallFiles: 200, SmallBytes: 4096,
		Listings: []int{2000, 5000}, Registered: 20_000, Preads: 5000, ColdPreads: 500, Stats: 5, Opens: 5,
		Repetitions: 2, ColdQueries: 2, Idle: 3 * time.Second}
}
