package dataset

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// FileName is the name of a parquet file in a revision.
type FileName struct {
	Block  uint64 // smallest value of the manifest's block_column, or a running number
	Suffix uint64 // tells files of one block apart
}

// ParseFileName reads "{block:09}-{suffix:016x}.parquet": a block of at least nine digits, with leading zeros only up to
// these nine, and sixteen hexadecimal digits in lower case.
func ParseFileName(s string) (FileName, error) {
	refuse := func(reason string) (FileName, error) {
		return FileName{}, &SyntaxError{"parquet file name", s, reason + "; it is a block number of at least nine digits, '-', sixteen hexadecimal digits in lower case, and .parquet, as in 000000042-00c0ffee00c0ffee.parquet"}
	}
	stem, found := strings.CutSuffix(s, ".parquet")
	if !found {
		return refuse("it does not end in .parquet")
	}
	block, suffix, found := strings.Cut(stem, "-")
	if !found {
		return refuse("it has no '-'")
	}
	if len(block) < 9 || !isNumeric(block) || len(block) > 9 && block[0] == '0' {
		return refuse(fmt.Sprintf("%q is no block number", block))
	}
	n, err := strconv.ParseUint(block, 10, 64)
	if err != nil {
		return refuse("block number " + block + " is beyond 64 bits")
	}
	sum, err := hex.DecodeString(suffix)
	if err != nil || len(sum) != 8 || strings.ToLower(suffix) != suffix {
		return refuse(fmt.Sprintf("%q is no suffix", suffix))
	}
	return FileName{n, binary.BigEndian.Uint64(sum)}, nil
}

// String is the form that ParseFileName reads.
func (f FileName) String() string { return fmt.Sprintf("%09d-%016x.parquet", f.Block, f.Suffix) }
