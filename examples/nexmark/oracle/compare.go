package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"

	"github.com/cairnstream/cairn/examples/nexmark/oracle/answer"
)

// errDiffers is returned when results are not what they should be; what is wrong
// with them has been printed.
var errDiffers = errors.New("results differ from the database's")

// runCompare compares results that lie there already.
func runCompare(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.SetOutput(stdout)
	events := flags.String("events", "", "folder that --events-out named: person.parquet, auction.parquet, bid.parquet")
	results := flags.String("results", "", "folder that --results-out named: a folder for each query")
	query := flags.String("query", "", "query whose results are compared, such as q5")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *events == "" || *results == "" || *query == "" || flags.NArg() > 0 {
		return fmt.Errorf("compare: say --events, --results and --query, and nothing else; got %q", args)
	}
	db, err := answer.Open(ctx, *events)
	if err != nil {
		return err
	}
	defer db.Close()
	expected, err := db.Expected(ctx, *query)
	if err != nil {
		return err
	}
	difference, err := expected.Compare(ctx, filepath.Join(*results, *query))
	if err != nil {
		return err
	}
	if difference.Equal() {
		fmt.Fprintf(stdout, "%s: equal, %d rows\n", *query, expected.Rows)
		return nil
	}
	fmt.Fprintf(stdout, "%s: DIFFERENT: %v\n", *query, difference)
	return errDiffers
}
