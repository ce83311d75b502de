package main

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/annexfs/annexfs/internal/fault"
)

// The exit statuses; 0 is success.
const (
	statusFailed      = 1
	statusUsage       = 2
	statusNotFound    = 3
	statusConflict    = 4
	statusCorrupt     = 5
	statusInterrupted = 130
)

// usageError is a command line that cannot be understood.
type usageError struct {
	err     error
	command string // whose help tells more
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// statusError is the failure of another process, which has chosen the status.
type statusError struct {
	text   string
	status int
}

func (e *statusError) Error() string { return e.text }

// status is what the program exits with.
func status(err error) int {
	var usage *usageError
	var other *statusError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return statusUsage
	case errors.As(err, &other):
		return other.status
	}
	for _, s := range []struct {
		kind   error
		status int
	}{
		{context.Canceled, statusInterrupted},
		{fault.ErrCorrupt, statusCorrupt},
		{fault.ErrConflict, statusConflict},
		{fs.ErrExist, statusConflict},
		{fs.ErrNotExist, statusNotFound},
	} {
		if errors.Is(err, s.kind) {
			return s.status
		}
	}
	return statusFailed
}

// message is what a person reads of an error.
func message(err error) string {
	var usage *usageError
	if status(err) == statusInterrupted {
		return "annexfs: interrupted"
	}
	text := "annexfs: " + strings.TrimRight(err.Error(), "\n")
	if errors.As(err, &usage) && usage.command != "" {
		text += "\nRun '" + usage.command + " --help' for usage."
	}
	return text
}
