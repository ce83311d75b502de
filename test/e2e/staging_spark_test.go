package e2e_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/annexfs/annexfs/test/harness"
)

// spark is a Spark session, see testdata/spark.py.
type spark struct{ *worker }

// startSpark starts a session as the user that runs the tests: Spark cannot become another one.
func startSpark(t *testing.T) spark {
	t.Helper()
	w := newWorker(t, harness.Users(t)[0], "spark.py")
	t.Cleanup(func() { w.stop(t) })
	return spark{w}
}

// write has Spark write the ids [first, first+rows); more are the partition column, the overwrite mode and the columns.
func (s spark) write(mode, target string, first, rows int, more ...string) error {
	_, err := s.do("write", append([]string{mode, target, itoa(first), itoa(rows)}, more...)...)
	return err
}

// TestStaging_Spark holds that Spark's own _SUCCESS publishes what df.write.parquet writes into a batch, in each of its
// modes; that dynamic partition overwrite, which makes none, is committed by hand; and that its jobs fail where rows are
// refused.
func TestStaging_Spark(t *testing.T) {
	u := harness.Users(t)[0]
	b := newBed(t, u, harness.Backend{}, tables{
		"over": orderTable, "more": orderTable, "keyed": keyedTable, "dynamic": keyedTable, "whole": partitionedTable, "bad": orderTable,
	})
	s := startSpark(t)

	for _, rows := range []int{1000, 500} {
		succeeds(t, "overwrite", s.write("overwrite", b.staging("over/replace/out"), 0, rows))
		b.holds(t, "over", 2, rows)
	}
	for i := range 3 {
		succeeds(t, "append", s.write("append", b.staging("more/append/out"), 1000*i, 1000))
		b.holds(t, "more", 2*(i+1), 1000*(i+1))
	}
	for _, rows := range []int{1000, 500} {
		succeeds(t, "overwrite with partitionBy", s.write("overwrite", b.staging("keyed/replace/out"), 0, rows, "region"))
		b.holds(t, "keyed", 4, rows)
	}
	sparkDynamic(t, b, s)
	sparkRefused(t, b, s)

	answer, err := s.do("count", b.table("over"))
	succeeds(t, "reading the table with Spark", err)
	var got []int
	if err := json.Unmarshal(answer, &got); err != nil || len(got) != 3 || got[0] != 500 || got[2] != 499*500/2 {
		t.Errorf("Spark reads %s (%v), want 500 rows", answer, err)
	}
}

func sparkDynamic(t *testing.T, b *bed, s spark) {
	t.Helper()
	target := b.staging("dynamic/replace/out")
	succeeds(t, "dynamic overwrite", s.write("overwrite", target, 0, 1000, "region", "dynamic"))
	missing(t, filepath.Join(target, "_SUCCESS"))
	b.holds(t, "dynamic", 0, 0)
	b.Must("commit", "shop/sales/dynamic", "replace/out")
	harness.Eventually(t, soon, func() string { return count(t, b.table("dynamic"), 4) })
	b.holds(t, "dynamic", 4, 1000)
}

func sparkRefused(t *testing.T, b *bed, s spark) {
	t.Helper()
	refuse := func(what, table, says, reason string, errno syscall.Errno, more ...string) {
		t.Helper()
		target := b.staging(table, "replace/out")
		err := s.write("overwrite", target, 0, 1000, more...)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want a job that fails and says %q", what, err, says)
		}
		reportBelow(t, b.staging(table), errno, reason)
		b.holds(t, table, 0, 0)
	}
	refuse("other columns", "bad", "Invalid argument", "column color (utf8) is not in the table", syscall.EINVAL, "", "static", "id, color")
	succeeds(t, "the next attempt", s.write("overwrite", b.staging("bad/replace/out"), 0, 1000))
	b.holds(t, "bad", 2, 1000)
	refuse("a partition column that the files lack", "whole", "Invalid argument", "write it into the files too", syscall.EINVAL, "region")

	unlock := lock(t, b, "shop/sales/bad")
	defer unlock()
	err := s.write("append", b.staging("bad/append/out"), 1000, 1000)
	if err == nil || !strings.Contains(err.Error(), "Device or resource busy") {
		t.Errorf("a table that is locked: got %v, want a job that fails with EBUSY", err)
	}
	b.holds(t, "bad", 2, 1000)
}
