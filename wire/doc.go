// Package wire is the protocol between controllers, agents, task processes
// and clients: the .proto file, the generated code and the recipe to make it.
//
// To regenerate: go generate ./wire
package wire

//go:generate go tool -modfile=../tools/go.mod buf generate
