package objects_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/annexfs/annexfs/internal/objects"
)

func open(t *testing.T, url string) *objects.Store {
	t.Helper()
	s, err := objects.Open(t.Context(), url)
	if err != nil {
		t.Fatalf("Open(%q): %v", url, err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// withPrefix gives each test its own part of a bucket.
func withPrefix(url string, t *testing.T) string {
	prefix := strings.NewReplacer("/", "-", " ", "_", "#", "_").Replace(t.Name())
	return strings.Replace(url, "?", "/"+prefix+"?", 1)
}

func mustPut(t *testing.T, s *objects.Store, key, content string) {
	t.Helper()
	if _, err := s.Put(t.Context(), key, []byte(content)); err != nil {
		t.Fatalf("Put(%q): %v", key, err)
	}
}

func wantContent(t *testing.T, s *objects.Store, key, want string) {
	t.Helper()
	if got, err := s.ReadAll(t.Context(), key); err != nil || string(got) != want {
		t.Errorf("ReadAll(%q) = %q, %v, want %q", key, got, err, want)
	}
}

func wantCanceled(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%s with a canceled context: %v, want context.Canceled", what, err)
	}
}

func keys(t *testing.T, s *objects.Store, prefix, delimiter string) []string {
	t.Helper()
	var keys []string
	for info, err := range s.List(t.Context(), prefix, delimiter) {
		if err != nil {
			t.Fatalf("List(%q, %q): %v", prefix, delimiter, err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// randomBytes are the same in every run.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{})
	_, _ = r.Read(b)
	return b
}
