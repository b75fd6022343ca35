//go:build !linux

package table

// advise does nothing: other systems decide about huge pages themselves.
func advise([]byte) {}
