package fs

import "github.com/hanwen/go-fuse/v2/fuse"

// Raw is what answers the kernel's requests.
func (s *Server) Raw() fuse.RawFileSystem { return s.tree }
