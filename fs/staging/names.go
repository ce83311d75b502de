package staging

import (
	"regexp"
	"strings"
	"syscall"
)

// creation is how a file was created.
type creation int

const (
	plainly creation = iota
	// byMkstemp: for reading and writing, exclusively, for its owner alone. That is what mkstemp(3) and its relatives
	// do and nobody else, and tells .x.AbC123 of rsync from the user's .env.sample.
	byMkstemp
)

func creationOf(flags, mode uint32) creation {
	const want = syscall.O_RDWR | syscall.O_EXCL
	if flags&(syscall.O_ACCMODE|syscall.O_EXCL) == want && mode&0o777 == 0o600 {
		return byMkstemp
	}
	return plainly
}

// temporary is the one table of names that programs use for what they have not finished. They wait for their rename.
var temporary = []struct {
	program string
	form    *regexp.Regexp
	dir     bool     // the form of a directory, whatever lies in it waits
	made    creation // only what was created so has the form
}{
	{program: "rsync", form: regexp.MustCompile(`^\..+\.[A-Za-z0-9]{6}$`), made: byMkstemp},
	{program: "rsync --delay-updates", form: regexp.MustCompile(`^\.~tmp~$`), dir: true},
	{program: "rsync --partial-dir", form: regexp.MustCompile(`^\.rsync-partial$`), dir: true},
	{program: "rclone", form: regexp.MustCompile(`\.[0-9a-f]{8}\.partial$`)},
	{program: "aria2c", form: regexp.MustCompile(`\.aria2(__temp)?$`)},
	{program: "git-annex", form: regexp.MustCompile(`[0-9]+-[0-9]+\.tmp$`)},
	{program: "DuckDB", form: regexp.MustCompile(`^tmp_.+\.parquet$`)},
	{program: "Python's tempfile", form: regexp.MustCompile(`^tmp[a-z0-9_]{8}`), made: byMkstemp},
	{program: "mktemp", form: regexp.MustCompile(`^tmp\.[A-Za-z0-9]{10}$`), made: byMkstemp},
	{program: "sed -i", form: regexp.MustCompile(`^sed[A-Za-z0-9]{6}$`), made: byMkstemp},
	{program: "GIO", form: regexp.MustCompile(`^\.goutputstream-[A-Za-z0-9]{6}$`)},
	{program: "vim, swap file", form: regexp.MustCompile(`^\..+\.sw[a-px]$`)},
	{program: "vim, trying the directory", form: regexp.MustCompile(`^4913$`)},
	{program: "vim and others, backup", form: regexp.MustCompile(`~$`)},
	{program: "Emacs, autosave", form: regexp.MustCompile(`^#.+#$`)},
	{program: "Emacs, lock", form: regexp.MustCompile(`^\.#`)},
	{program: "LibreOffice, lock", form: regexp.MustCompile(`^\.~lock\..+#$`)},
	{program: "Hadoop", form: regexp.MustCompile(`\._COPYING_$`)},
	{program: "Spark", form: regexp.MustCompile(`^(_temporary|\.spark-staging-.+)$`), dir: true},
}

// aria2Control follows the name of a file that aria2c writes under its final name.
const aria2Control = ".aria2"

func isTemporary(name string, dir bool, made creation) bool {
	for _, t := range temporary {
		if t.dir == dir && (t.made == plainly || t.made == made) && t.form.MatchString(name) {
			return true
		}
	}
	return false
}

// waitsInFiles tells of names below a files table or a batch: every one is data but the temporary ones.
func waitsInFiles(names []string, made creation) bool {
	last := len(names) - 1
	for _, dir := range names[:last] {
		if isTemporary(dir, true, made) {
			return true
		}
	}
	return isTemporary(names[last], false, made)
}

// waitsInParquet tells of names below a parquet table or a batch: only *.parquet is data, and nothing hidden is.
func waitsInParquet(names []string, made creation) bool {
	for _, name := range names {
		if hidden(name) {
			return true
		}
	}
	return !strings.HasSuffix(names[len(names)-1], ".parquet") || waitsInFiles(names, made)
}

// hidden names are passed over by everybody who reads a directory of parquet files.
func hidden(name string) bool { return name != "" && (name[0] == '.' || name[0] == '_') }
