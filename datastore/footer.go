package datastore

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"

	"github.com/parquet-go/parquet-go"
)

const (
	parquetMagic    = "PAR1"
	encryptedMagic  = "PARE"
	trailerSize     = 8        // length of the footer and the magic
	maxFooterLength = 64 << 20 // half a million column chunks
	maxTail         = 32 << 20 // beyond it the page indices are not kept
)

// FormatError says why a file is not a parquet file that can be stored. It is fs.ErrInvalid.
type FormatError struct {
	Reason string
}

func (e *FormatError) Error() string { return "not a usable parquet file: " + e.Reason }

// Is reports whether target is fs.ErrInvalid.
func (e *FormatError) Is(target error) bool { return target == fs.ErrInvalid }

func formatErrorf(format string, args ...any) error {
	return &FormatError{Reason: fmt.Sprintf(format, args...)}
}

// ParquetInfo is what the end of a parquet file tells.
type ParquetInfo struct {
	Footer
	Rows       int64
	Statistics Statistics
	File       *parquet.File // schema and row groups; reads no pages
}

// ReadFooter reads and checks the end of a parquet file of that size. What is not a parquet file, is truncated,
// encrypted or inconsistent is a *FormatError; errors of r are returned as they are.
//
// The footer is the file's bytes from its first page index to its end, or from the footer proper where there is no page
// index, none that can be read, or an unreasonably large one.
func ReadFooter(r io.ReaderAt, size int64) (ParquetInfo, error) {
	start, err := footerStart(r, size)
	if err != nil {
		return ParquetInfo{}, err
	}
	tail, err := readRange(r, start, size)
	if err != nil {
		return ParquetInfo{}, err
	}
	meta, err := decodeFooter(tail[:len(tail)-trailerSize])
	if err != nil {
		return ParquetInfo{}, err
	}
	if err := meta.check(start); err != nil {
		return ParquetInfo{}, err
	}
	info := ParquetInfo{Rows: meta.NumRows, Statistics: Statistics{Columns: meta.statistics()}}
	if info.Footer, info.File, err = openTail(r, meta, start, tail); err != nil {
		return ParquetInfo{}, err
	}
	return info, nil
}

// openTail parses the tail from the page indices on, and from the footer on where that cannot be.
func openTail(r io.ReaderAt, meta *footerMeta, start int64, tail []byte) (Footer, *parquet.File, error) {
	if index := meta.indexStart(start); index < start {
		indices, err := readRange(r, index, start)
		if err != nil {
			return Footer{}, nil, err
		}
		if meta.checkIndices(indices, index) {
			f := Footer{Offset: index, Bytes: append(indices, tail...)}
			if file, err := f.parse(); err == nil {
				return f, file, nil
			}
		}
	}
	f := Footer{Offset: start, Bytes: tail}
	file, err := f.parse()
	return f, file, err
}

// footerStart checks the magic bytes on both ends and returns where the footer begins.
func footerStart(r io.ReaderAt, size int64) (int64, error) {
	if size == 0 {
		return 0, formatErrorf("it is empty")
	}
	head, err := readRange(r, 0, min(size, 4))
	if err != nil {
		return 0, err
	}
	switch string(head) {
	case parquetMagic:
	case encryptedMagic:
		return 0, formatErrorf("it is encrypted")
	default:
		return 0, formatErrorf("it begins with %q and not with %q", head, parquetMagic)
	}
	if size < int64(len(parquetMagic))+trailerSize {
		return 0, formatErrorf("it is truncated: %d bytes hold no footer", size)
	}
	trailer, err := readRange(r, size-trailerSize, size)
	if err != nil {
		return 0, err
	}
	if magic := string(trailer[4:]); magic != parquetMagic {
		return 0, formatErrorf("it is truncated: it begins with %q but ends with %q", parquetMagic, magic)
	}
	length := int64(binary.LittleEndian.Uint32(trailer))
	start := size - trailerSize - length
	if start < int64(len(parquetMagic)) {
		return 0, formatErrorf("it is truncated: a footer of %d bytes does not fit into a file of %d", length, size)
	}
	if length > maxFooterLength {
		return 0, formatErrorf("its footer has %d bytes, more than %d", length, maxFooterLength)
	}
	return start, nil
}

func readRange(r io.ReaderAt, from, to int64) ([]byte, error) {
	b := make([]byte, to-from)
	if n, err := r.ReadAt(b, from); n < len(b) {
		if err == io.EOF {
			return nil, formatErrorf("it ends at %d, before its size", from+int64(n))
		}
		return nil, fmt.Errorf("read the footer: %w", err)
	}
	return b, nil
}

// Footer is the end of a parquet file, unchanged.
type Footer struct {
	Offset int64 // where Bytes begins in the file
	Bytes  []byte
}

// ReadAt reads from the file as far as the footer reaches; what lies before it is an error.
func (f Footer) ReadAt(b []byte, off int64) (int, error) {
	i := off - f.Offset
	if i < 0 {
		return 0, fmt.Errorf("read at %d, before the footer at %d: %w", off, f.Offset, fs.ErrInvalid)
	}
	if i >= int64(len(f.Bytes)) {
		return 0, io.EOF
	}
	n := copy(b, f.Bytes[i:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// parse opens the file from its end alone. parquet-go panics on some schemas and page indices that it does not expect,
// and a file that somebody copied in must not end the program.
func (f Footer) parse() (file *parquet.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			file, err = nil, formatErrorf("its footer cannot be read: %v", p)
		}
	}()
	if len(f.Bytes) < trailerSize {
		return nil, formatErrorf("it has no footer")
	}
	length := binary.LittleEndian.Uint32(f.Bytes[len(f.Bytes)-trailerSize:])
	file, err = parquet.OpenFile(f, f.Offset+int64(len(f.Bytes)),
		parquet.SkipMagicBytes(true), parquet.SkipBloomFilters(true),
		parquet.SkipPageIndex(len(f.Bytes) <= trailerSize+int(length)))
	if err != nil {
		return nil, formatErrorf("%v", err)
	}
	return file, nil
}
