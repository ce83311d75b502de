package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/google/uuid"
	"github.com/pelletier/go-toml/v2"
)

// ConfigName is the name of the file that makes a directory a repository.
const ConfigName = "annexfs.toml"

// configVersion is the form of the configuration that this program reads and writes.
const configVersion = 1

// Config is the content of annexfs.toml.
type Config struct {
	Version  int       `toml:"version"`
	UUID     uuid.UUID `toml:"uuid" comment:"Names this repository among all that share the database."`
	Database string    `toml:"database" comment:"sqlite:PATH, relative to this file, or postgres://USER:${VAR}@HOST/DATABASE; ${VAR} is read from the environment."`
	Objects  string    `toml:"objects" comment:"file:PATH, relative to this file, or s3://BUCKET/PREFIX?region=…, gs://BUCKET, azblob://CONTAINER."`
	Files    string    `toml:"files" comment:"Directory of the file store, relative to this file."`
	// MaxExtensionLength is git-annex's annex.maxextensionlength: the bytes that a part of a key's extension may have.
	MaxExtensionLength int         `toml:"max_extension_length,omitempty"`
	Mount              MountConfig `toml:"mount"`
	Cache              CacheConfig `toml:"cache"`
}

// MountConfig says how `annexfs mount` mounts where its arguments do not.
type MountConfig struct {
	Point        string  `toml:"point" comment:"Where to mount, relative to this file."`
	AllowOther   *bool   `toml:"allow_other,omitempty"`
	UID          *uint32 `toml:"uid,omitempty"`
	GID          *uint32 `toml:"gid,omitempty"`
	Passthrough  *bool   `toml:"passthrough,omitempty"`
	SymlinkCache *bool   `toml:"symlink_cache,omitempty"`
}

// CacheConfig bounds what is kept in memory.
type CacheConfig struct {
	Footers ByteSize `toml:"footers" comment:"Memory for parsed parquet footers."`
}

// ByteSize is a number of bytes, written as "256 MiB".
type ByteSize int64

// UnmarshalText reads "256MiB", "1 GB" or "1048576".
func (b *ByteSize) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || int64(n) < 0 {
		return fmt.Errorf("%q is no size: write it as 256MiB", text)
	}
	*b = ByteSize(n)
	return nil
}

// MarshalText writes the size in binary units.
func (b ByteSize) MarshalText() ([]byte, error) {
	return []byte(strings.ReplaceAll(humanize.IBytes(uint64(b)), " ", "")), nil
}

// newConfig is what `annexfs init` writes.
func newConfig(o InitOptions) (Config, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Config{}, err
	}
	c := Config{Version: configVersion, UUID: id, Database: o.Database, Objects: o.Objects, Files: "files"}
	if c.Database == "" {
		c.Database = "sqlite:annexfs.db"
	}
	if c.Objects == "" {
		c.Objects = "file:objects"
	}
	c.Mount.Point = "mnt"
	c.Cache.Footers = 256 << 20
	return c, nil
}

// readConfig reads the configuration of the repository at dir; fs.ErrNotExist where dir is none, fs.ErrInvalid where
// the file says what this program does not understand.
func readConfig(dir string) (Config, error) {
	path := filepath.Join(dir, ConfigName)
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, err
	}
	var c Config
	if err := toml.NewDecoder(strings.NewReader(string(data))).DisallowUnknownFields().Decode(&c); err != nil {
		return Config{}, fail(fs.ErrInvalid, "%s: %s", path, explain(err))
	}
	return c, c.check(path)
}

func (c Config) check(path string) error {
	switch {
	case c.Version != configVersion:
		return fail(fs.ErrInvalid, "%s: version is %d; this program knows version %d", path, c.Version, configVersion)
	case c.UUID == uuid.UUID{}:
		return missingKey(path, "uuid")
	case c.Database == "":
		return missingKey(path, "database")
	case c.Objects == "":
		return missingKey(path, "objects")
	case c.Files == "":
		return missingKey(path, "files")
	case c.MaxExtensionLength < 0:
		return fail(fs.ErrInvalid, "%s: max_extension_length is negative", path)
	}
	return nil
}

func missingKey(path, key string) error {
	return fail(fs.ErrInvalid, "%s: key %s is missing", path, key)
}

// explain says in one line what is wrong with a file and where.
func explain(err error) string {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) {
		var unknown []string
		for _, e := range strict.Errors {
			row, _ := e.Position()
			unknown = append(unknown, fmt.Sprintf("%s (line %d)", strings.Join(e.Key(), "."), row))
		}
		return "unknown key " + strings.Join(unknown, ", ")
	}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		row, column := decode.Position()
		return fmt.Sprintf("line %d, column %d: %v", row, column, err)
	}
	return err.Error()
}

// DatabaseURL is the URL for metadb, with the environment's values and an absolute path.
func (c Config) DatabaseURL(dir string) (string, error) {
	raw, err := expand(c.Database)
	if err != nil {
		return "", fmt.Errorf("database URL: %w", err)
	}
	return absolute(raw, "sqlite:", dir), nil
}

// ObjectsURL is the URL for objects, with the environment's values and an absolute path.
func (c Config) ObjectsURL(dir string) (string, error) {
	raw, err := expand(c.Objects)
	if err != nil {
		return "", fmt.Errorf("object store URL: %w", err)
	}
	abs := absolute(raw, "file:", dir)
	if path, ok := strings.CutPrefix(abs, "file:"); ok && !strings.HasPrefix(path, "//") {
		return (&url.URL{Scheme: "file", Path: path}).String(), nil
	}
	return abs, nil
}

// FilesDir is the directory of the file store.
func (c Config) FilesDir(dir string) string { return join(dir, c.Files) }

// MountPoint is where to mount when nobody says.
func (c Config) MountPoint(dir string) string { return join(dir, c.Mount.Point) }

// absolute makes the path behind the scheme absolute; other URLs stay as they are.
func absolute(raw, scheme, dir string) string {
	path, ok := strings.CutPrefix(raw, scheme)
	if !ok || strings.HasPrefix(path, "//") {
		return raw
	}
	return scheme + join(dir, path)
}

func join(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand puts the environment's values in place of ${VAR}. Within a URL a value is escaped, since it is a name or a
// password; a variable that is the whole text may hold a whole URL. One that is not set is fs.ErrInvalid.
func expand(text string) (string, error) {
	var unset []string
	out := variable.ReplaceAllStringFunc(text, func(ref string) string {
		value, ok := os.LookupEnv(ref[2 : len(ref)-1])
		if !ok {
			unset = append(unset, ref)
		}
		if ref == text {
			return value
		}
		return strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
	})
	if unset != nil {
		return "", fail(fs.ErrInvalid, "%s not set in the environment", strings.Join(unset, ", "))
	}
	return out, nil
}
