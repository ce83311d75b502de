package repo

import (
	"io/fs"
	"os"
	"path/filepath"
)

// EnvVar names the repository where no flag does.
const EnvVar = "ANNEXFS_REPO"

// Find returns the absolute directory of the repository that is meant: the one that flag names, else the one that env
// names, else the first at cwd or above it. fs.ErrNotExist where there is none.
func Find(flag, env, cwd string) (string, error) {
	switch {
	case flag != "":
		return named(flag, cwd, "--repo")
	case env != "":
		return named(env, cwd, EnvVar)
	}
	for dir := cwd; ; dir = filepath.Dir(dir) {
		if isRepository(dir) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fail(fs.ErrNotExist, "no annexfs repository in %s or above it: make one with `annexfs init`,"+
				" or name one with --repo or %s", cwd, EnvVar)
		}
	}
}

func named(dir, cwd, by string) (string, error) {
	dir = join(cwd, dir)
	if !isRepository(dir) {
		return "", fail(fs.ErrNotExist, "%s, named by %s, is no annexfs repository: it has no %s (make one with `annexfs init %s`)",
			dir, by, ConfigName, dir)
	}
	return dir, nil
}

// isRepository reports whether dir holds a configuration. A directory that cannot be looked into is none: what lies above
// a mount whose daemon died, or above a directory of somebody else's, may be one all the same.
func isRepository(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, ConfigName))
	return err == nil && info.Mode().IsRegular()
}
