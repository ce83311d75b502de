package staging_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program is a real program that copies one file to a name below $S. SRC is the source's path, NAME the target's.
type program struct {
	name   string
	needs  string // the command that it is, if another than its first word
	script string
	// silent programs ignore what close answers: only the report tells them.
	silent bool
	// removes what was refused
	removes bool
}

var programs = []program{
	{name: "cp", script: `cp $SRC $S/$NAME`},
	{name: "cp -a", script: `cp -a $SRC $S/$NAME`},
	{name: "mv", script: `cp $SRC $T/mine && mv $T/mine $S/$NAME`},
	{name: "mv inside staging", script: `cp $SRC $S/$NAME~ && mv $S/$NAME~ $S/$NAME`, needs: "mv"},
	{name: "install", script: `install -m 640 $SRC $S/$NAME`},
	{name: "rsync -a", script: `rsync -a $SRC $S/$NAME`, removes: true},
	{name: "rsync --inplace", script: `rsync -a --inplace $SRC $S/$NAME`},
	{name: "rsync --delay-updates", script: `mkdir $T/d && cp $SRC $T/d/$(basename $NAME) && rsync -a --delay-updates $T/d/ $(dirname $S/$NAME)`},
	{name: "dd", script: `dd if=$SRC of=$S/$NAME bs=7 status=none`},
	{name: "dd conv=fsync", script: `dd if=$SRC of=$S/$NAME conv=fsync status=none`},
	{name: "cat >", script: `cat $SRC > $S/$NAME`},
	{name: "two commands", needs: "head", script: `( head -c 9 $SRC; tail -c +10 $SRC ) > $S/$NAME`},
	{name: "tee", script: `tee $S/$NAME < $SRC > /dev/null`},
	{name: "tar x", script: `tar c -C $(dirname $SRC) --transform "s,.*,$NAME," $(basename $SRC) | tar x -C $S`},
	{name: "bsdtar x", needs: "bsdtar", script: `tar c -C $(dirname $SRC) --transform "s,.*,$NAME," $(basename $SRC) | bsdtar xf - -C $S`, silent: true},
	{name: "busybox cp", script: `busybox cp $SRC $S/$NAME`},
	{name: "unzip", script: `mkdir -p $T/z/$(dirname $NAME) && cp $SRC $T/z/$NAME && (cd $T/z && zip -q $T/x.zip $NAME) && unzip -q $T/x.zip -d $S`, silent: true},
	{name: "curl -o", script: `curl -sS -o $S/$NAME file://$SRC`},
	{name: "curl -R", script: `curl -sS -R -o $S/$NAME $WEB/$(basename $SRC)`},
	{name: "wget -O", script: `wget -q -O $S/$NAME $WEB/$(basename $SRC)`},
	{name: "wget -P", script: `wget -q -P $T/w $WEB/$(basename $SRC) && cd $(dirname $S/$NAME) && wget -q $WEB/$(basename $NAME)`, silent: true},
	{name: "aria2c", script: `aria2c -q -d $(dirname $S/$NAME) -o $(basename $NAME) $WEB/$(basename $SRC)`, silent: true},
	{name: "gio copy", needs: "gio", script: `gio copy $SRC $S/$NAME`},
	{name: "sed -i", needs: "sed", script: `cp $SRC $S/$NAME~ && cd $S && sed -i "" $NAME~ && mv $NAME~ $NAME`},
	{name: "shutil.copy2", needs: "python3", script: `python3 -c 'import shutil,os; shutil.copy2(os.environ["SRC"], os.environ["S"]+"/"+os.environ["NAME"])'`},
	{name: "shutil.move", needs: "python3", script: `cp $SRC $T/mine; python3 -c 'import shutil,os; shutil.move(os.environ["T"]+"/mine", os.environ["S"]+"/"+os.environ["NAME"])'`},
	{name: "NamedTemporaryFile", needs: "python3", script: `python3 - <<'END'
import os, tempfile
final = os.environ["S"] + "/" + os.environ["NAME"]
with tempfile.NamedTemporaryFile(dir=os.path.dirname(final), delete=False) as f:
    f.write(open(os.environ["SRC"], "rb").read())
    f.flush()
    os.fsync(f.fileno())
os.replace(f.name, final)
END`},
	{name: "rclone", script: `rclone copyto $SRC $S/$NAME`, removes: true},
	{name: "rclone --inplace", needs: "rclone", script: `rclone copyto --inplace $SRC $S/$NAME`, removes: true},
}

func (p program) command() string {
	if p.needs != "" {
		return p.needs
	}
	return strings.Fields(p.name)[0]
}

// run runs the program's script and returns what it said.
func (p program) run(s *site, src, name string) (string, error) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, src) }))
	defer web.Close()
	return s.shell(fmt.Sprintf("set -o pipefail; T=$T/t; rm -rf $T; mkdir $T; export T SRC=%s NAME=%s WEB=%s; %s", src, name, web.URL, p.script))
}

// TestPrograms has each program copy a file into a table of each kind, and a file that is refused.
func TestPrograms(t *testing.T) {
	t.Setenv("PATH", os.Getenv("PATH")+":"+filepath.Join(tools(t), "bin"))
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			if _, err := exec.LookPath(p.command()); err != nil {
				t.Skipf("NOT RUN HERE: %s is not installed", p.command())
			}
			s := mount(t)
			src := filepath.Join(t.TempDir(), "a.parquet")
			if err := os.WriteFile(src, good, 0o640); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"orders/a.parquet", "images/d/.gitignore"} {
				s.mkdir(filepath.Dir(name))
				if out, err := p.run(s, src, name); err != nil {
					t.Errorf("to %s: %v: %s", name, err, out)
				}
			}
			s.wantTable(orders, "a.parquet")
			s.wantTable(images, "d/.gitignore")
			if got := s.shelf.content(orders, "a.parquet"); string(got) != string(good) {
				t.Errorf("the table holds %q, want %q", got, good)
			}
			s.wantStaged("orders")
			s.wantStaged("images/d")

			for _, bad := range []struct {
				name, why string
				data      []byte
				told      bool
			}{
				{"orders/schema.parquet", "schema=people", parquet("people", "rows"), true},
				{"orders/short.parquet", "not a parquet file", good[:len(good)-4], !p.silent},
			} {
				if err := os.WriteFile(src, bad.data, 0o640); err != nil {
					t.Fatal(err)
				}
				if out, err := p.run(s, src, bad.name); (err != nil) != bad.told {
					t.Errorf("refusal of %s: error %v, said %q", bad.name, err, out)
				}
				s.wantReport(bad.name, bad.why)
				if p.removes && s.exists(bad.name) {
					t.Errorf("%s is there: the program's line in the table is wrong", bad.name)
				}
			}
			s.wantTable(orders, "a.parquet")
		})
	}
}

// tools is where test/setup puts programs.
func tools(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../.tools")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
