// Package file is an object store in a folder. An object is a file under the
// folder with the object's key as its path, so people and tools can read it.
//
// A write is whole or not there:
//
//	.tmp/<owner>-<n>   create, write, fsync     a crash leaves a temp file, no object
//	rename to the key  (link for IfAbsent)      a crash leaves the object or not, whole
//	fsync the folder                            the object is durable: Put returns
//
// That is one fsync of the file and one of its folder; writers of one folder
// share the latter, and a folder's own name is made durable once, when
// it is first used. Copy is a hard link: objects are immutable, so two names
// may share their bytes. Folders that became empty stay.
//
// Temp files are named for their owner, one open Bucket, which holds a lock
// (flock) on .tmp/<owner>.lock as long as it lives. The first write of a
// Bucket removes what owners left behind whose lock is free, and nothing else:
// the age of a file says nothing about its writer. Processes may share the
// folder, also over a network file system with working flock and hard links.
package file
