package datastore

type metadataCache struct{}

func newMetadataCache(budget int64) *metadataCache { return &metadataCache{} }
