package registry

import "fmt"

// kindError is an error of a kind, told to a person in other words than the kind's own.
type kindError struct {
	kind error
	text string
}

// fail returns an error that reads as given and is kind by errors.Is.
func fail(kind error, format string, args ...any) error {
	return &kindError{kind: kind, text: fmt.Sprintf(format, args...)}
}

func (e *kindError) Error() string { return e.text }

func (e *kindError) Unwrap() error { return e.kind }
