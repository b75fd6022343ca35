//go:build !unix

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "controller: this system is not supported: use Linux or macOS")
	os.Exit(1)
}
