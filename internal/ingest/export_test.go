package ingest

// FailAt has fn called at each step of publishing: its error makes the step fail.
func (i *Ingester) FailAt(fn func(step string) error) { i.at = fn }
