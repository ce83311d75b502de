// Package staging is the one writable part of the mounted tree: what programs write below it is checked, stored and
// registered, and then seen in the table. It owns when a file is judged, which names are data and which only wait, and
// what a program meets that uses a name after its content has left.
//
// Staged bytes lie in a directory of the repository, under the names that they were given, so that they outlive the
// daemon. What is below it, for one table:
//
//	<namespace>/<name>[@<version>]/<table>/a.parquet           published by itself, when it is closed or renamed here
//	<namespace>/<name>[@<version>]/<table>/replace/<batch>/…   published together, by _SUCCESS, as the new content
//	<namespace>/<name>[@<version>]/<table>/append/<batch>/…    likewise, in addition to what is there
//	<namespace>/<name>/manifest.json                           registered and linked
//
// When a file is judged (see flush.go): a FLUSH is not the end of a file. It comes before the first byte, in the middle
// and several times, from forked children that never wrote, and from the kernel for a process that was killed. So the
// bytes that came since the last verdict are judged at each FLUSH of the process that opened the file, and that verdict
// is the answer of close. What closes without such a FLUSH is judged at RELEASE, where only <file>.error can tell.
//
// A published file becomes a ghost: no longer listed, and still found for some time, because many programs set its times
// and mode by path after closing it.
//
// It speaks the raw protocol like package fs, with one table of nodes and no other tree: a directory's inode is known as
// long as the kernel knows it or a ghost lies below.
//
// # Locks
//
// In this order; each may be taken without those before it, and none but the first two is held during a call to the
// Publisher:
//
//   - directory.commit: held while a batch is committed. Who holds the content of its _SUCCESS may wait for it, who
//     holds that of one of its data files never does.
//   - file.content: held by who changes a staged file's bytes, judges them, or gives them another name. Of several
//     files it is taken in the order of their numbers. It is held while the file is published, so that nobody writes
//     into what is being stored.
//   - Tree.shape: shared while a path is made and used, exclusive while a name moves.
//   - file.mu, nodes.mu, handles.mu, ghosts.mu: leaves.
package staging
