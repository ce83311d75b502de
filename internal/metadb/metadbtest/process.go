package metadbtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	superuser = "annexfs"
	port      = "5432" // only part of the socket's name
)

// quick are the settings of a server whose data nobody needs after a crash of the machine.
const quick = `
fsync = off
full_page_writes = off
deadlock_timeout = 100ms
`

// script makes, starts and keeps a server in the directory $2 with the programs of $1 and the settings $3. It says "ready" whenever the
// server is; each line that it reads restarts the server; the end of its input, which comes also when the test binary is
// killed, stops it and removes the directory.
const script = `
set -eu
bin=$1 dir=$2 settings=$3
ctl() { "$bin/pg_ctl" -D "$dir/data" -s "$@"; }
trap 'ctl -m immediate stop || true; rm -rf "$dir"' EXIT
"$bin/initdb" -D "$dir/data" -U ` + superuser + ` --auth=trust --encoding=UTF8 --locale=C --no-sync --no-instructions
start() { ctl -l "$dir/log" -t 120 -w start </dev/null || { cat "$dir/log"; exit 1; }; }
cat >>"$dir/data/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '$dir'
port = ` + port + `
max_connections = 200
$settings
END
start
echo ready
while read -r _; do
	ctl -m immediate stop
	start
	echo ready
done
`

// process is the shell that runs the script, and what it keeps running.
type process struct {
	dir    string
	cmd    *exec.Cmd
	input  io.WriteCloser
	output *bufio.Scanner
}

func startProcess(settings string) (*process, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	// Not below TMPDIR: a socket's name is at most 107 bytes long, and another user must reach it.
	dir, err := os.MkdirTemp("/tmp", "annexfs-postgres-")
	if err != nil {
		return nil, err
	}
	p := &process{dir: dir}
	p.cmd = exec.Command("/bin/sh", "-c", script, "sh", bin, dir, settings)
	p.cmd.Dir = dir
	p.cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + dir, "LC_ALL=C", "TZ=UTC"}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ^C is for the tests, the server goes last
	if err := p.run(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return p, nil
}

func (p *process) run() error {
	if err := p.dropRoot(); err != nil {
		return err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.cmd.Stderr = p.cmd.Stdout
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	p.output = bufio.NewScanner(stdout)
	if err := p.cmd.Start(); err != nil {
		return err
	}
	return p.waitReady()
}

// dropRoot gives the server to a user that PostgreSQL accepts.
func (p *process) dropRoot() error {
	if os.Getuid() != 0 {
		return nil
	}
	var failed error
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return err
		}
		p.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return os.Chown(p.dir, int(uid), int(gid))
	}
	return fmt.Errorf("PostgreSQL does not run as root, and there is nobody else: %w", failed)
}

// waitReady reads the script's output to the line "ready"; what comes instead is the error.
func (p *process) waitReady() error {
	var said []string
	for p.output.Scan() {
		if p.output.Text() == "ready" {
			return nil
		}
		said = append(said, p.output.Text())
	}
	err := p.cmd.Wait()
	return fmt.Errorf("it did not start: %v\n%s", err, strings.Join(said, "\n"))
}

func (p *process) restart() error {
	if _, err := io.WriteString(p.input, "restart\n"); err != nil {
		return err
	}
	return p.waitReady()
}

// stop ends the server and waits until its directory is gone.
func (p *process) stop() error {
	err := p.input.Close()
	for p.output.Scan() { // nothing more is expected
	}
	return errors.Join(err, p.cmd.Wait(), os.RemoveAll(p.dir))
}

// binaries finds the directory of PostgreSQL's programs: $ANNEXFS_PG_BIN, that of initdb in PATH, or Debian's newest.
func binaries() (string, error) {
	if dir := os.Getenv("ANNEXFS_PG_BIN"); dir != "" {
		return dir, nil
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(initdb), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", errors.New("no initdb in ANNEXFS_PG_BIN, PATH or /usr/lib/postgresql/*/bin")
	}
	return filepath.Dir(slices.MaxFunc(found, byVersion)), nil
}

// byVersion compares paths whose directory above bin is a number.
func byVersion(a, b string) int {
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 sorts first
		return n
	}
	return version(a) - version(b)
}
