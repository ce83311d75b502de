package e2e_test

import (
	"testing"

	"github.com/parquet-go/parquet-go"
)

// writeForeign writes a good parquet file that fits no table of a bed.
func writeForeign(t testing.TB, path string) {
	t.Helper()
	type row struct {
		ID    string `parquet:"id"`
		Color string `parquet:"color"`
	}
	rows := make([]row, 1000)
	for i := range rows {
		rows[i] = row{itoa(i), "red"}
	}
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
}
