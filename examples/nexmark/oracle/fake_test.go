package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cairnstream/cairn/examples/nexmark/oracle/answer/answertest"
)

// fakeVariable makes of the test's executable a program cairn whose results are known; its value says what is wrong with them.
const fakeVariable = "ORACLE_FAKE_CAIRN"

func TestMain(m *testing.M) {
	if wrong, ok := os.LookupEnv(fakeVariable); ok {
		if err := fakeCairn(os.Args[1:], wrong); err != nil {
			fmt.Fprintln(os.Stderr, "cairn:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// selected is a row of q2.
type selected struct {
	Auction int64 `parquet:"auction"`
	Price   int64 `parquet:"price"`
}

// fakeCairn exports the same three bids whatever the seed, and those that q2 selects, for parallelism 4 with
// what is wrong: lost, late or failed.
func fakeCairn(args []string, wrong string) error {
	flag := func(name string) string {
		if i := slices.Index(args, name); i >= 0 {
			return args[i+1]
		}
		return ""
	}
	if dir := flag("--events-out"); dir != "" {
		bids := []answertest.Bid{{Auction: 123, Price: 1}, {Auction: 246, Price: 2}, {Auction: 5}}
		if err := (answertest.World{Bids: bids}).Export(dir); err != nil {
			return err
		}
	}
	rows := []selected{{246, 2}, {123, 1}}
	restarts := 0
	if flag("--faults") != "" {
		restarts = 1
	}
	if flag("--parallelism") == "4" {
		switch wrong {
		case "lost":
			rows = rows[1:]
		case "late":
			restarts = 0
		case "failed":
			return fmt.Errorf("no checkpoint completed")
		}
	}
	if dir := flag("--results-out"); dir != "" {
		if err := answertest.Write(filepath.Join(dir, "q2", "part-0.parquet"), rows); err != nil {
			return err
		}
	}
	fmt.Printf(`{"query": "q2", "restarts": %d, "struck_after_rows": 1, "runs": [{"seconds": 1.5}]}`, restarts)
	return nil
}
