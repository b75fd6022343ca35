package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cairnstream/cairn/examples/nexmark/oracle/answer"
)

// check is what is to be run and compared: every query in every combination of the lists.
type check struct {
	events      int64 // how many
	eventRate   int64 // per second of event time
	outOfOrder  int64 // size of the groups whose order is mixed up
	seed        uint64
	queries     []string
	parallelism []string
	backends    []string
	faults      []string // none, or what cairn bench nexmark --faults takes

	cairn  string // the program
	dir    string // for events and results
	keep   bool   // the results that were equal
	stdout io.Writer
}

// combination is one run.
type combination struct {
	query, parallelism, backend, fault string
}

const noFault = "none"

// runCheck is the command check.
func runCheck(ctx context.Context, args []string, stdout io.Writer) error {
	c, module, err := parseCheck(args, stdout)
	if err != nil {
		return err
	}
	if c.dir == "" {
		if c.dir, err = os.MkdirTemp("", "cairn-oracle-"); err != nil {
			return err
		}
		if !c.keep {
			defer os.RemoveAll(c.dir)
		}
	}
	if c.cairn == "" {
		if c.cairn, err = buildCairn(ctx, module, c.dir); err != nil {
			return err
		}
	}
	return c.run(ctx)
}

// parseCheck reads the flags of the command check; module is the folder that cairn is built from.
func parseCheck(args []string, stdout io.Writer) (c check, module string, err error) {
	c.stdout = stdout
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(stdout)
	flags.Int64Var(&c.events, "events", 1_000_000, "`number` of events")
	flags.Int64Var(&c.eventRate, "event-rate", 1000,
		"events in a `second` of event time; at 1,000 a million events span a hundred windows, and sessions end")
	flags.Int64Var(&c.outOfOrder, "out-of-order", 50, "the order of so `many` events at a time is mixed up; 1: in order")
	flags.Uint64Var(&c.seed, "seed", 1, "seed of the events")
	flags.Func("queries", "`queries` with commas between (default all)", list(&c.queries, answer.Names()...))
	flags.Func("parallelism", "`numbers` with commas between (default 1,4)", list(&c.parallelism, "1", "4"))
	flags.Func("backends", "state `backends` with commas between (default memory,lsm)", list(&c.backends, "memory", "lsm"))
	flags.Func("faults", "`faults` with commas between, each in runs of its own (default none,worker)", list(&c.faults, noFault, "worker"))
	flags.StringVar(&c.cairn, "cairn", "", "`program` cairn (default: built from --module)")
	flags.StringVar(&module, "module", filepath.Join("..", "..", ".."), "`folder` of the module that cairn is built from")
	flags.StringVar(&c.dir, "dir", "", "`folder` for events and results; events that lie there already are used again (default: a temporary one)")
	flags.BoolVar(&c.keep, "keep", false, "keep the temporary folder, and results that are equal")
	if err := flags.Parse(args); err != nil {
		return check{}, "", err
	}
	if flags.NArg() > 0 {
		return check{}, "", fmt.Errorf("check: what is %q? Flags are all it takes", flags.Args())
	}
	if c.events < 1 || c.eventRate < 1 || c.outOfOrder < 1 {
		return check{}, "", fmt.Errorf("check: --events %d, --event-rate %d, --out-of-order %d: each is at least 1", c.events, c.eventRate, c.outOfOrder)
	}
	for _, q := range c.queries {
		if _, err := answer.Lookup(q); err != nil {
			return check{}, "", fmt.Errorf("check: --queries: %w", err)
		}
	}
	return c, module, nil
}

// list sets to to the defaults, and returns what replaces them by what a flag says.
func list(to *[]string, defaults ...string) func(string) error {
	*to = defaults
	return func(s string) error {
		*to = strings.Split(s, ",")
		return nil
	}
}

// run goes through all combinations, prints a line for each, and ends with an error unless all results were right.
func (c *check) run(ctx context.Context) error {
	events, err := c.exportEvents(ctx)
	if err != nil {
		return fmt.Errorf("export the events: %w", err)
	}
	db, err := answer.Open(ctx, events)
	if err != nil {
		return err
	}
	defer db.Close()
	runs, wrong := 0, 0
	for _, query := range c.queries {
		expected, err := db.Expected(ctx, query)
		if err != nil {
			return err
		}
		for _, one := range c.combinations(query) {
			if err := ctx.Err(); err != nil {
				return err
			}
			runs++
			if !c.try(ctx, one, expected) {
				wrong++
			}
		}
	}
	fmt.Fprintf(c.stdout, "%d of %d results equal the database's\n", runs-wrong, runs)
	if wrong > 0 {
		return fmt.Errorf("%d of %d: %w", wrong, runs, errDiffers)
	}
	return nil
}

// combinations lists the runs of a query.
func (c *check) combinations(query string) []combination {
	var out []combination
	for _, parallelism := range c.parallelism {
		for _, backend := range c.backends {
			for _, fault := range c.faults {
				out = append(out, combination{query, parallelism, backend, fault})
			}
		}
	}
	return out
}

// try runs a combination, prints how it went and reports whether its result was right.
func (c *check) try(ctx context.Context, one combination, expected *answer.Expected) bool {
	began := time.Now()
	verdict, equal := c.judge(ctx, one, expected)
	fmt.Fprintf(c.stdout, "%-4s  parallelism %s  %-6s  fault %-6s  %5.1f s  %s\n",
		one.query, one.parallelism, one.backend, one.fault, time.Since(began).Seconds(), verdict)
	return equal
}

// judge runs a combination and says what is to be said about its result.
func (c *check) judge(ctx context.Context, one combination, expected *answer.Expected) (verdict string, equal bool) {
	results := filepath.Join(c.dir, strings.Join([]string{"results", one.query, one.parallelism, one.backend, one.fault}, "-"))
	report, err := c.runQuery(ctx, one, results)
	if err != nil {
		return err.Error(), false
	}
	difference, err := expected.Compare(ctx, filepath.Join(results, one.query))
	if err != nil {
		return err.Error(), false
	}
	if !difference.Equal() {
		return fmt.Sprintf("DIFFERENT, see %s: %v", results, difference), false
	}
	if !c.keep {
		if err := os.RemoveAll(results); err != nil {
			return err.Error(), false
		}
	}
	verdict = fmt.Sprintf("equal, %d rows", expected.Rows)
	if one.fault != noFault {
		verdict += fmt.Sprintf(", restarts %d, the first after %d rows", report.Restarts, report.StruckAfterRows)
	}
	return verdict, true
}
