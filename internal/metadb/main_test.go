package metadb_test

import (
	"testing"

	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

func TestMain(m *testing.M) { metadbtest.Main(m) }
