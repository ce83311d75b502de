package dataset_test

import (
	"math"
	"testing"

	"github.com/annexfs/annexfs/internal/dataset"
)

func TestParseFileName(t *testing.T) {
	for s, want := range map[string]dataset.FileName{
		"000000000-0000000000000000.parquet":            {Block: 0, Suffix: 0},
		"000000042-9f2c00000000000a.parquet":            {Block: 42, Suffix: 0x9f2c00000000000a},
		"999999999-ffffffffffffffff.parquet":            {Block: 999999999, Suffix: math.MaxUint64},
		"1000000000-00000000000000ff.parquet":           {Block: 1000000000, Suffix: 255},
		"18446744073709551615-0000000000000001.parquet": {Block: math.MaxUint64, Suffix: 1},
	} {
		got, err := dataset.ParseFileName(s)
		if got != want || err != nil {
			t.Errorf("%s: got %+v, %v, want %+v", s, got, err, want)
		}
		if got.String() != s {
			t.Errorf("got %s, want %s", got, s)
		}
	}
	for s, reason := range map[string]string{
		"":                                              "does not end in .parquet",
		"a.parquet":                                     "no '-'",
		"000000000-0000000000000000":                    "does not end in .parquet",
		"000000000-0000000000000000.parquet.crc":        "does not end in .parquet",
		"00000000-0000000000000000.parquet":             "no block number",
		"0000000001-0000000000000000.parquet":           "no block number",
		"+00000001-0000000000000000.parquet":            "no block number",
		"-0000000000000000.parquet":                     "no block number",
		"18446744073709551616-0000000000000000.parquet": "beyond 64 bits",
		"000000000-000000000000000.parquet":             "no suffix",
		"000000000-00000000000000000.parquet":           "no suffix",
		"000000000-000000000000000A.parquet":            "no suffix",
		"000000000-000000000000000g.parquet":            "no suffix",
		"000000000--000000000000000.parquet":            "no suffix",
	} {
		_, err := dataset.ParseFileName(s)
		refused(t, err, "parquet file name", s, reason, "000000042-00c0ffee00c0ffee.parquet")
	}
}

func FuzzParseFileName(f *testing.F) {
	f.Add("000000042-9f2c00000000000a.parquet", uint64(0), uint64(1))
	f.Add("a.parquet", uint64(math.MaxUint64), uint64(math.MaxUint64))
	f.Fuzz(func(t *testing.T, s string, block, suffix uint64) {
		if n, err := dataset.ParseFileName(s); err == nil && n.String() != s {
			t.Errorf("got %s, want %s", n, s)
		}
		want := dataset.FileName{Block: block, Suffix: suffix}
		if got, err := dataset.ParseFileName(want.String()); got != want || err != nil {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	})
}
