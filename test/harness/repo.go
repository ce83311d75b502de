package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Backend says where a repository keeps its metadata and objects. The zero value is the embedded default.
type Backend struct {
	Name              string
	Database, Objects string
	Env               []string // that the program needs to reach them
}

// Repo is a repository in a directory of its own, used by one user.
type Repo struct {
	Dir  string
	User User
	Env  []string // of the programs that Run starts

	t testing.TB
}

// Result is what a program said.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// NewRepo makes a repository. It belongs to u, as whom the calling thread must run.
func NewRepo(t testing.TB, u User, b Backend) *Repo {
	t.Helper()
	dir := filepath.Join(Dir(t), "repo")
	r := Open(t, u, dir, b)
	args := []string{"init", dir}
	if b.Database != "" {
		args = append(args, "--database", b.Database)
	}
	if b.Objects != "" {
		args = append(args, "--objects", b.Objects)
	}
	r.Must(args...)
	r.configure()
	return r
}

// MountEnv names settings of [mount] for every repository, separated by semicolons: "passthrough=false;symlink_cache=false"
// runs the suite in another mode.
const MountEnv = "ANNEXFS_E2E_MOUNT"

func (r *Repo) configure() {
	r.t.Helper()
	settings := os.Getenv(MountEnv)
	if settings == "" {
		return
	}
	path := filepath.Join(r.Dir, "annexfs.toml")
	data, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	text := strings.Replace(string(data), "[mount]\n", "[mount]\n"+strings.ReplaceAll(settings, ";", "\n")+"\n", 1)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// Open is a repository that init did not make yet, or that others made.
func Open(t testing.TB, u User, dir string, b Backend) *Repo {
	t.Helper()
	home := Dir(t)
	env := append([]string{
		"PATH=" + filepath.Dir(Program(t)) + ":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
		"HOME=" + home, "LC_ALL=C.UTF-8", "TZ=UTC", "ANNEXFS_REPO=" + dir,
		"GORACE=halt_on_error=1",
	}, b.Env...)
	return &Repo{Dir: dir, User: u, Env: env, t: t}
}

// Command is a program to be run in the repository's environment.
func (r *Repo) Command(name string, args ...string) *exec.Cmd {
	if name == "annexfs" {
		name = Program(r.t)
	}
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Dir = r.Env, "/"
	return cmd
}

// Run runs annexfs and waits for it.
func (r *Repo) Run(args ...string) Result {
	r.t.Helper()
	return r.Exec("annexfs", args...)
}

// Exec runs any program and waits for it.
func (r *Repo) Exec(name string, args ...string) Result {
	r.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := r.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatalf("running %s %s: %v", name, strings.Join(args, " "), err)
	}
	return Result{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
}

// Must runs annexfs, which must succeed, and returns what it wrote to stdout without the last newline.
func (r *Repo) Must(args ...string) string {
	r.t.Helper()
	return r.MustExec("annexfs", args...)
}

// MustExec runs any program, which must succeed, and returns what it wrote to stdout without the last newline.
func (r *Repo) MustExec(name string, args ...string) string {
	r.t.Helper()
	result := r.Exec(name, args...)
	if result.Code != 0 {
		r.t.Fatalf("%s %s: exit status %d\nstdout: %s\nstderr: %s", name, strings.Join(args, " "), result.Code,
			result.Stdout, result.Stderr)
	}
	return strings.TrimSuffix(result.Stdout, "\n")
}

// JSON runs annexfs with --json, which must succeed, and decodes its document.
func (r *Repo) JSON(v any, args ...string) {
	r.t.Helper()
	out := r.Must(append([]string{"--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), v); err != nil {
		r.t.Fatalf("annexfs %s --json: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Register registers and links a manifest to a dataset and returns its hash.
func (r *Repo) Register(dataset, manifest string) string {
	r.t.Helper()
	path := filepath.Join(Dir(r.t), "manifest.json")
	if err := os.WriteFile(path, []byte(manifest), 0o644); err != nil {
		r.t.Fatal(err)
	}
	hash := r.Must("manifest", "register", path)
	r.Must("dataset", "link", dataset, hash)
	return hash
}
