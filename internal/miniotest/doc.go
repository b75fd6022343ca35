// Package miniotest builds and runs a MinIO server for tests that need a real
// S3 server.
//
// MinIO is under the AGPL: nothing of Cairn links it and nothing of it is
// shipped. Its pinned version is a requirement of the module in the folder
// server, which has no code of its own; Build compiles it from there into the
// user's cache, which takes some 3 minutes the first time and needs the module
// proxy, and Start runs it as a child process on a loopback port.
package miniotest
