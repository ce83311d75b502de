package staging_test

import (
	"testing"

	"github.com/annexfs/annexfs/fs/staging"
)

// TestTemporaryNames has for each program the names that it was seen to use for what it has not finished, and names of
// users' files that look like them.
func TestTemporaryNames(t *testing.T) {
	const mkstemp, plain = true, false
	cases := []struct {
		program string
		names   []string
		mkstemp bool
		waits   bool
	}{
		{"rsync", []string{".a.parquet.6fYq1P", ".gitignore.Zx81bC", "d/.x.AbC123"}, mkstemp, true},
		{"rsync --delay-updates", []string{".~tmp~/a.parquet", "d/.~tmp~/a"}, plain, true},
		{"rsync --partial-dir", []string{".rsync-partial/a"}, plain, true},
		{"rclone", []string{"a.parquet.00e89fe9.partial"}, plain, true},
		{"aria2c", []string{"a.iso.aria2", "a.iso.aria2__temp"}, plain, true},
		{"git-annex", []string{"a.parquet4711-2.tmp"}, plain, true},
		{"DuckDB", []string{"tmp_a.parquet"}, plain, true},
		{"Python's tempfile", []string{"tmpab12_xyz", "tmpab12_xyz.csv"}, mkstemp, true},
		{"mktemp", []string{"tmp.1Ab2Cd3Ef4"}, mkstemp, true},
		{"sed -i", []string{"sedA1b2C3"}, mkstemp, true},
		{"GIO", []string{".goutputstream-5H3KW2"}, plain, true},
		{"vim", []string{".a.txt.swp", ".a.txt.swx", "4913", "a.txt~"}, plain, true},
		{"Emacs", []string{"#a.txt#", ".#a.txt", "a.txt~"}, plain, true},
		{"LibreOffice", []string{".~lock.a.ods#"}, plain, true},
		{"Hadoop", []string{"a.csv._COPYING_"}, plain, true},
		{"Spark", []string{"_temporary/0/task/part", ".spark-staging-1f/k=1/part"}, plain, true},
		{"cp", []string{".gitignore", "__init__.py", "_config.yml", ".env.sample", ".x.backup", "tmpdocument.txt", "tmp_notes.txt",
			"sedation", "a.partial", "x.tmp", "_SUCCESS", ".a.crc", "a.error", "tmp.parquet"}, plain, false},
		{"a program that creates for itself alone", []string{".gitignore", "a.txt", "tmp.txt"}, mkstemp, false},
	}
	for _, c := range cases {
		for _, name := range c.names {
			if got := staging.WaitsInFiles(name, c.mkstemp); got != c.waits {
				t.Errorf("%s: in a files table %s waits: %v, want %v", c.program, name, got, c.waits)
			}
			if c.waits && !staging.WaitsInParquet(name, c.mkstemp) {
				t.Errorf("%s: in a parquet table %s does not wait", c.program, name)
			}
		}
	}
	for name, want := range map[string]bool{
		"a.parquet": false, "k=1/a.parquet": false, "tmpfile.parquet": false,
		"a.txt": true, ".a.parquet": true, "_a.parquet": true, "_temporary/a.parquet": true, ".hidden/a.parquet": true, "a.PARQUET": true,
	} {
		if got := staging.WaitsInParquet(name, false); got != want {
			t.Errorf("in a parquet table %s waits: %v, want %v", name, got, want)
		}
	}
}

func TestKilledIn(t *testing.T) {
	for stat, want := range map[string]bool{
		"12 (a) b) c) R 1 2 3 0 -1 4195328 9 0":     true,
		"12 (cp) R 1 2 3 0 -1 4194304 9 0":          false,
		"12 (x 1 2 3 4 5 1024 ) R 1 2 3 0 -1 0 9 0": false,
		"12 (x 1 2 3 4 5 0 ) Z 1 2 3 0 -1 1024 9 0": true,
		"":       false,
		"12 (cp": false,
		") R 1":  false,
	} {
		if got := staging.KilledIn([]byte(stat)); got != want {
			t.Errorf("%q: killed %v, want %v", stat, got, want)
		}
	}
}

func FuzzKilledIn(f *testing.F) {
	f.Add([]byte("12 (cp) R 1 2 3 0 -1 4194304 9 0"))
	f.Fuzz(func(_ *testing.T, stat []byte) { staging.KilledIn(stat) })
}
