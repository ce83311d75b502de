package datastore

import (
	"encoding/binary"
	"errors"
)

// Types of the Thrift compact protocol.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
)

// maxThriftDepth is far beyond what a footer nests.
const maxThriftDepth = 32

var (
	errThriftShort = errors.New("ends too early")
	errThriftType  = errors.New("has a field of an unknown type")
	errThriftDepth = errors.New("is nested too deeply")
)

// checkThrift walks one struct of the compact protocol. The decoder allocates what a list claims to hold before it
// reads the first element, so that four wrong bytes would ask for gigabytes: what this has passed holds what it claims.
func checkThrift(b []byte) error {
	w := thriftWalk{b}
	return w.structure(0)
}

type thriftWalk struct {
	b []byte
}

func (w *thriftWalk) skip(n uint64) error {
	if n > uint64(len(w.b)) {
		return errThriftShort
	}
	w.b = w.b[n:]
	return nil
}

func (w *thriftWalk) byte() (byte, error) {
	if len(w.b) == 0 {
		return 0, errThriftShort
	}
	c := w.b[0]
	w.b = w.b[1:]
	return c, nil
}

func (w *thriftWalk) uvarint() (uint64, error) {
	v, n := binary.Uvarint(w.b)
	if n <= 0 {
		return 0, errThriftShort
	}
	w.b = w.b[n:]
	return v, nil
}

func (w *thriftWalk) structure(depth int) error {
	if depth > maxThriftDepth {
		return errThriftDepth
	}
	for {
		head, err := w.byte()
		if err != nil || head == 0 {
			return err
		}
		if head>>4 == 0 { // no difference to the last field's id: the id itself follows
			if _, err := w.uvarint(); err != nil {
				return err
			}
		}
		if t := head & 0xf; t != thriftTrue && t != thriftFalse { // a field's bool is its type
			if err := w.value(t, depth); err != nil {
				return err
			}
		}
	}
}

func (w *thriftWalk) value(t byte, depth int) error {
	switch t {
	case thriftTrue, thriftFalse, thriftByte:
		return w.skip(1)
	case thriftI16, thriftI32, thriftI64:
		_, err := w.uvarint()
		return err
	case thriftDouble:
		return w.skip(8)
	case thriftBinary:
		n, err := w.uvarint()
		if err != nil {
			return err
		}
		return w.skip(n)
	case thriftList, thriftSet:
		return w.list(depth)
	case thriftMap:
		return w.pairs(depth)
	case thriftStruct:
		return w.structure(depth + 1)
	}
	return errThriftType
}

func (w *thriftWalk) list(depth int) error {
	head, err := w.byte()
	if err != nil {
		return err
	}
	n := uint64(head >> 4)
	if n == 0xf {
		if n, err = w.uvarint(); err != nil {
			return err
		}
	}
	return w.elements(n, depth, head&0xf)
}

func (w *thriftWalk) pairs(depth int) error {
	n, err := w.uvarint()
	if err != nil || n == 0 {
		return err
	}
	types, err := w.byte()
	if err != nil {
		return err
	}
	return w.elements(n, depth, types>>4, types&0xf)
}

// elements walks n elements, each of which is one value of every type.
func (w *thriftWalk) elements(n uint64, depth int, types ...byte) error {
	if n > uint64(len(w.b)) || depth > maxThriftDepth {
		return errThriftShort
	}
	for range n {
		for _, t := range types {
			if err := w.value(t, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
