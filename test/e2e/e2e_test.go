// Package e2e_test runs the built program on real repositories, real mounts and real readers, as root and as an
// ordinary user, on the embedded default and on PostgreSQL with an S3 server.
package e2e_test

import (
	"testing"

	"github.com/annexfs/annexfs/test/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
