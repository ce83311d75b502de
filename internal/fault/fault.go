// Package fault owns the kinds of error that io/fs has no sentinel for.
//
// Everything else is one of io/fs's: fs.ErrNotExist, fs.ErrExist, fs.ErrInvalid, fs.ErrPermission. Callers compare with
// errors.Is; the errno of a kind and the exit status of a kind are decided once, where the program meets the outside.
package fault

import "errors"

var (
	// ErrReadOnly says that the thing may be read and never be written: a database opened for reading, a path of the
	// mount outside staging.
	ErrReadOnly = errors.New("read-only")

	// ErrConflict says that the request is sound but the state forbids it: a manifest that is linked, a revision that
	// is active or locked, a table of another schema. It may succeed later, or after something else is undone.
	ErrConflict = errors.New("conflict")

	// ErrCorrupt says that stored bytes are not what their name, size or hash promises, or that an object is gone
	// which a row still names.
	ErrCorrupt = errors.New("corrupt")
)
