package fs

import (
	"crypto/sha256"
	"encoding/binary"
)

// kind is what an inode number stands for: its top byte. Below it lies the database's id, or for what has no row of its
// own 56 bits of a hash of its path, so that numbers are the same in every mount of one database.
type kind uint8

const (
	kindFixed    kind = iota // the control tree's numbers below, the same for ever
	kindFile                 // file_metadata.id
	kindTag                  // dataset_tags.id: the directory of a semantic version, or a symlink (latest, dev)
	kindManifest             // manifests.id
	kindPath                 // hash of the parent's number and the name
	kindBlob                 // hash of the file key
	kindStaging              // a staged file or directory
)

const (
	inoRoot    = 1 // FUSE_ROOT_ID
	inoControl = 2
	inoBlobs   = 3
	inoStaging = 4
	inoStatus  = 5
	inoMetrics = 6
)

const idBits = 56

func makeIno(k kind, id int64) uint64 {
	return uint64(k)<<idBits | uint64(id)&(1<<idBits-1)
}

func kindOf(ino uint64) kind { return kind(ino >> idBits) }

func idOf(ino uint64) int64 { return int64(ino & (1<<idBits - 1)) }

// pathIno is the number of what is known only by its name below a parent.
func pathIno(parent uint64, name string) uint64 {
	buf := binary.BigEndian.AppendUint64(make([]byte, 0, 64), parent)
	return hashIno(kindPath, append(buf, name...))
}

func hashIno(k kind, identity []byte) uint64 {
	sum := sha256.Sum256(identity)
	return makeIno(k, int64(binary.BigEndian.Uint64(sum[:8])>>(64-idBits)))
}
