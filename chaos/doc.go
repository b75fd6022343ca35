// Package chaos starts real binaries, breaks them, and checks from outside what
// a user of the cluster was promised. It sees the binaries, their files and the
// protocol, and nothing inside.
package chaos
