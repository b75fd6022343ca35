package savepoint_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/cairnstream/cairn/examples/nexmark/oracle/savepoint"
)

const (
	accounts  = 100_000
	keyGroups = 32
)

// write has the main module's test run a job of 100,000 accounts, each of which gets one
// payment in each of four phases: account a gets a plus the phase's number, counted from 0. It
// leaves savepoints of the ends of phases 1 and 2.
func write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "test", "./savepoint", "-count=1", "-run", "^TestJobMovesThroughSavepoints$", "-keep", dir)
	cmd.Dir = filepath.Join("..", "..", "..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return dir
}

// TestArrowSumsASavepoint: by Apache Arrow's reader each savepoint has every account once, and
// exactly its payments, and the raw bytes beside them say the same.
func TestArrowSumsASavepoint(t *testing.T) {
	dir := write(t)
	for phase := int64(1); phase <= 2; phase++ {
		seen := make([]bool, accounts)
		var amounts, payments int64
		err := savepoint.Each(t.Context(), filepath.Join(dir, fmt.Sprintf("after/%d", phase)), "keep", "balance", func(b arrow.RecordBatch) error {
			keys, groups := savepoint.Column[*array.Int64](b, "key"), savepoint.Column[*array.Int32](b, "key_group")
			raw := savepoint.Column[*array.Binary](b, "key_bytes")
			value := savepoint.Column[*array.Struct](b, "value")
			fields := value.DataType().(*arrow.StructType)
			at, _ := fields.FieldIdx("Amount")
			n, _ := fields.FieldIdx("Payments")
			for i := range int(b.NumRows()) {
				key := keys.Value(i)
				amount, count := value.Field(at).(*array.Int64).Value(i), int64(value.Field(n).(*array.Int32).Value(i))
				if want := phase*key + phase*(phase-1)/2; amount != want || count != phase {
					return fmt.Errorf("account %d: %d by %d payments, want %d by %d", key, amount, count, want, phase)
				}
				if group := groups.Value(i); seen[key] || len(raw.Value(i)) == 0 || group < 0 || group >= keyGroups {
					return fmt.Errorf("account %d: seen %v, bytes %x, key group %d", key, seen[key], raw.Value(i), groups.Value(i))
				}
				seen[key] = true
				amounts, payments = amounts+amount, payments+count
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		wantAmounts := phase*accounts*(accounts-1)/2 + accounts*phase*(phase-1)/2
		if amounts != wantAmounts || payments != accounts*phase {
			t.Errorf("phase %d: %d in %d payments, want %d in %d", phase, amounts, payments, wantAmounts, accounts*phase)
		}
	}
}

// TestOtherStatesAreRefused: a state that is not there is no empty one.
func TestOtherStatesAreRefused(t *testing.T) {
	err := savepoint.Each(t.Context(), t.TempDir(), "keep", "balance", func(arrow.RecordBatch) error { return nil })
	if err == nil {
		t.Error("a folder without files was read")
	}
}
