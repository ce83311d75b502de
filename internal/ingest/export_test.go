package ingest

import "math"

// FailAt has fn called at each step of publishing: its error makes the step fail.
func (i *Ingester) FailAt(fn func(step string) error) { i.at = fn }

// TrustStore has the file store believed to take files until it refuses one.
func (i *Ingester) TrustStore() { i.stored.Store(math.MaxInt64) }
