// Oracle checks the results of the Nexmark queries against a database's: SQL over the
// very events, in SQLite. It is a module of its own, and shares no code with what it checks.
//
//	go run . check                     runs every query in every combination and compares
//	go run . compare --query q5 ...    compares what a run has left
//
// docs/nexmark-oracle.md says what is compared, and how to do it with DuckDB.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `oracle checks the results of the Nexmark queries against SQL in a database.

  oracle check [flags]      run queries in all combinations and compare each result
  oracle compare [flags]    compare the results that a run of cairn bench nexmark has left

--help after a command explains its flags.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

// run is the program, for tests too.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stdout, usage)
		return flag.ErrHelp
	}
	switch args[0] {
	case "check":
		return runCheck(ctx, args[1:], stdout)
	case "compare":
		return runCompare(ctx, args[1:], stdout)
	case "help", "-h", "--help":
		fmt.Fprint(stdout, usage)
		return nil
	}
	return fmt.Errorf("there is no command %q: say check or compare", args[0])
}
