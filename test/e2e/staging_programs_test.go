package e2e_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/annexfs/annexfs/test/harness"
)

// program copies a parquet file into staging under the name a.parquet.
type program struct {
	name string
	sh   string // a script; $1 is the file, $2 the staging directory, $URL the file on a web server
	lib  string // or what the worker does with the file and the path in staging

	// What it does when the file is refused: its exit status (a Python script that does not catch the error has 1), what
	// it says, and the names that it leaves in staging, if those are others than a.parquet.
	status int
	says   string
	leaves string
}

// nothing is left by programs that remove what they have written.
const nothing = "-"

// programs are those of which annexfs promises that they work, each with what its user learns of a refusal. The last
// write, which ends in the parquet magic, is refused already, so that even those are told who do not look at close.
var programs = []program{
	{name: "cp", sh: `cp "$1" "$2"`, status: 1, says: "Invalid argument"},
	{name: "cp -a", sh: `cp -a "$1" "$2"`, status: 1, says: "Invalid argument"},
	{name: "cp -r", sh: `cp -r "$(dirname "$1")/." "$2"`, status: 1, says: "Invalid argument"},
	{name: "mv", sh: `mv "$1" "$2"`, status: 1, says: "Invalid argument"},
	{name: "mv in staging", sh: `cp "$1" "$2/a.new" && mv "$2/a.new" "$2/a.parquet"`, status: 1, says: "cannot move", leaves: "a.new"},
	{name: "install", sh: `install -m 640 "$1" "$2"`, status: 1, says: "Invalid argument"},
	{name: "rsync", sh: `rsync -a "$1" "$2/"`, status: 23, says: "Invalid argument", leaves: nothing},
	{name: "rsync --inplace", sh: `rsync -a --inplace "$1" "$2/"`, status: 11, says: "Invalid argument"},
	{name: "rsync --delay-updates", sh: `rsync -a --delay-updates "$1" "$2/"`, status: 23, says: "Invalid argument", leaves: ".~tmp~"},
	{name: "dd", sh: `dd if="$1" of="$2/a.parquet" bs=4096`, status: 1, says: "Invalid argument"},
	{name: "dd conv=fsync", sh: `dd if="$1" of="$2/a.parquet" conv=fsync`, status: 1, says: "Invalid argument"},
	{name: "redirection", sh: `cat "$1" > "$2/a.parquet"`, status: 1, says: "Invalid argument"},
	{
		name: "redirection of two", sh: `( head -c 1000 "$1"; tail -c +1001 "$1" ) > "$2/a.parquet"`,
		status: 1, says: "Invalid argument",
	},
	{name: "tee", sh: `tee "$2/a.parquet" < "$1" >/dev/null`, status: 1, says: "Invalid argument"},
	{name: "gunzip", sh: `gzip -c "$1" > "$1.gz" && gunzip -c "$1.gz" > "$2/a.parquet"`, status: 1, says: "Invalid argument"},
	{name: "tar", sh: tarWith("tar"), status: 2, says: "Invalid argument"},
	{name: "bsdtar", sh: tarWith("bsdtar"), status: 1, says: "Invalid argument"},
	{name: "busybox tar", sh: tarWith("busybox tar"), status: 1, says: "Invalid argument"},
	{name: "unzip", sh: `cd "$(dirname "$1")" && zip -q a.zip a.parquet && unzip -oq a.zip -d "$2"`, status: 50, says: "write error"},
	{name: "curl -o", sh: `curl -sSf -o "$2/a.parquet" "$URL"`, status: 23, says: "Fail"},
	{name: "curl -R", sh: `curl -sSf -R -o "$2/a.parquet" "$URL"`, status: 23, says: "Fail"},
	{name: "wget -O", sh: `wget -nv -O "$2/a.parquet" "$URL"`, status: 3, says: "Invalid argument"},
	{name: "wget -P", sh: `rm -f "$2/a.parquet"; wget -nv -P "$2" "$URL"`, status: 3, says: "Invalid argument"},
	{
		name: "aria2c", sh: `aria2c -q --allow-overwrite=true --remove-control-file=true -d "$2" -o a.parquet "$URL"`,
		status: 17, leaves: "a.parquet a.parquet.aria2",
	},
	{name: "rclone", sh: rcloneWith(""), status: 1, says: "can't move object", leaves: nothing},
	{name: "rclone --inplace", sh: rcloneWith("--inplace"), status: 1, says: "invalid argument", leaves: nothing},
	{name: "busybox cp", sh: `busybox cp "$1" "$2"`, status: 1, says: "Invalid argument"},

	{name: "shutil.copyfile", lib: "shutil.copyfile", says: "OSError: [Errno 22] Invalid argument"},
	{name: "shutil.copy", lib: "shutil.copy", says: "OSError: [Errno 22] Invalid argument"},
	{name: "shutil.copy2", lib: "shutil.copy2", says: "OSError: [Errno 22] Invalid argument"},
	{name: "shutil.copytree", lib: "shutil.copytree", says: "Invalid argument"},
	{name: "shutil.move", lib: "shutil.move", says: "OSError: [Errno 22] Invalid argument"},
	{name: "tempfile", lib: "tempfile", says: "OSError: [Errno 22] Invalid argument", leaves: nothing},
	{name: "duckdb", lib: "duckdb", says: "IOException: IO Error"},
	{name: "duckdb, by rename", lib: "duckdb.renamed", says: "IOException: IO Error", leaves: "tmp_a.parquet"},
	{name: "pyarrow", lib: "pyarrow", says: "OSError", leaves: nothing},
	{name: "pyarrow writer", lib: "pyarrow.writer", says: "OSError"},
	{name: "pandas", lib: "pandas", says: "OSError"},
	{name: "fastparquet", lib: "fastparquet", says: "OSError: [Errno 22] Invalid argument"},
	{name: "polars", lib: "polars", says: "Invalid argument"},
	{name: "polars sink", lib: "polars.sink", says: "Invalid argument"},
}

func tarWith(tar string) string {
	return `tar -C "$(dirname "$1")" -cf - a.parquet | (cd "$2" && ` + tar + ` -xf -)`
}

func rcloneWith(flags string) string {
	return `rclone --config "" --retries 1 --low-level-retries 1 ` + flags + ` copy "$1" "$2"`
}

// table is the program's own.
func (p program) table() string { return tableOf(p.name) }

// TestStaging_Programs has each program copy a file that is refused, and then a good one under the same name: its user
// is told of the first, and of the second has the rows in the table when the program ends.
func TestStaging_Programs(t *testing.T) {
	tools := copyTools(t, "rclone")
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		eachProgram(t, u, harness.Backend{}, tools, programs)
	})
}

// TestStaging_ProgramsServer does the same with some of them on a database server and a bucket.
func TestStaging_ProgramsServer(t *testing.T) {
	var some []program
	for _, p := range programs {
		switch p.name {
		case "cp", "mv in staging", "rsync", "rsync --inplace", "rclone", "shutil.copy2", "duckdb", "pyarrow":
			some = append(some, p)
		}
	}
	tools := copyTools(t, "rclone")
	for _, u := range harness.Users(t) {
		t.Run(u.Name, func(t *testing.T) {
			b := harness.Servers(t)
			harness.As(t, "run", u, func(t *testing.T) { eachProgram(t, u, b, tools, some) })
		})
	}
}

func eachProgram(t *testing.T, u harness.User, b harness.Backend, tools string, programs []program) {
	t.Helper()
	declared := tables{}
	for _, p := range programs {
		declared[p.table()] = orderTable
	}
	bed := newBed(t, u, b, declared)
	web := httptest.NewServer(http.FileServer(http.Dir(bed.in)))
	t.Cleanup(web.Close)
	for _, p := range programs {
		harness.As(t, p.table(), u, func(t *testing.T) {
			r := &running{program: p, bed: bed, web: web.URL, tools: tools}
			r.refused(t)
			r.accepted(t)
		})
	}
}

// running is a program on a bed.
type running struct {
	program
	*bed
	web, tools string
}

func (r *running) refused(t *testing.T) {
	t.Helper()
	source, dir := r.foreign(t), r.staging(r.table())
	path := filepath.Join(dir, "a.parquet")
	result := r.copy(t, source, dir)
	if result.Code != r.status || !strings.Contains(result.Stderr, r.says) {
		t.Errorf("a refused file: exit status %d, want %d and %q; it says\n%s", result.Code, r.status, r.says, result.Stderr)
	}
	report(t, path, syscall.EINVAL, "schema", "column color (utf8) is not in the table")
	switch r.leaves {
	case "":
		staged(t, dir, "a.parquet")
	case nothing:
		staged(t, dir)
	default:
		staged(t, dir, strings.Fields(r.leaves)...)
	}
	if strings.HasSuffix(r.name, "mv") && stat(t, source).Size() == 0 {
		t.Errorf("%s has nothing left of %s", r.name, source)
	}
	r.holds(t, r.table(), 0, 0)
}

func (r *running) accepted(t *testing.T) {
	t.Helper()
	const rows = 300
	source, dir := r.source(t, 0, rows), r.staging(r.table())
	size := stat(t, source).Size()
	result := r.copy(t, source, dir)
	if result.Code != 0 || strings.Contains(result.Stderr, "rror") {
		t.Errorf("a good file: exit status %d; it says\n%s", result.Code, result.Stderr)
	}
	r.holds(t, r.table(), 1, rows)
	unstaged(t, dir)
	if info := stat(t, filepath.Join(dir, "a.parquet")); r.lib == "" && info.Size() != size {
		t.Errorf("the name that was copied to is found with size %d, want %d", info.Size(), size)
	}
}

// table is the program's, not the bed's method.
func (r *running) table() string { return r.program.table() }

// copy runs the program.
func (r *running) copy(t *testing.T, source, dir string) harness.Result {
	t.Helper()
	if r.lib != "" {
		_, err := workers.of(t, r.User).do(r.lib, source, filepath.Join(dir, "a.parquet"))
		if err != nil {
			return harness.Result{Code: r.status, Stderr: err.Error()}
		}
		return harness.Result{}
	}
	relative, err := filepath.Rel(r.in, source)
	if err != nil {
		t.Fatal(err)
	}
	return r.Exec("env", "PATH="+r.tools+":/usr/local/bin:/usr/bin:/bin", "URL="+r.web+"/"+relative, "sh", "-c", r.sh, "sh", source, dir)
}

// copyTools copies programs of .tools/bin to where every user can run them.
func copyTools(t *testing.T, names ...string) string {
	t.Helper()
	dir := harness.Dir(t)
	for _, name := range names {
		from, err := os.Open(filepath.Join(harness.Root(t), ".tools/bin", name))
		if err != nil {
			t.Fatalf("%v (`make tools` builds it)", err)
		}
		to, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(to, from)
		if err := closeAll(err, to, from); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// needs skips a test whose programs this machine lacks, and says so.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("NOT RUN HERE: needs %s (`make tools` installs it)", name)
		}
	}
}
