// Package fs is the mounted tree: it answers the kernel's FUSE requests from the registry, the data store and the file
// store, and tells the kernel when an answer it remembers has changed. Nothing else imports go-fuse.
//
// It speaks the raw protocol, because the kernel's inode is the only inode: a file of a revision is named by its
// database id and costs the daemon no memory, whether one is known to the kernel or a million. Only directories,
// symlinks and generated files are kept, in the node table, for as long as the kernel knows them.
//
// The path of a request: raw.go finds the node that the request names, the node (one kind a file) makes one call down
// to a store and returns an entry or an error, errno.go turns the error into an errno and the only log line about it.
//
// What the kernel may remember and for how long:
//
//   - entries and attributes of what exists: until told otherwise (watch.go follows the database's changes);
//   - names that cannot exist, judged without a query: for ever;
//   - names that do not exist yet: one second;
//   - file pages: for ever, since a file's content never changes under its inode number.
//
// Locks: nodeTable.mu, handles.mu, backings.mu and dirNode state are leaves: none is held while another is taken, during
// a store call, or while the kernel is notified (a notification waits for the kernel's directory lock, and the lookup
// that holds it may wait for us).
package fs
