package savepoint

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// Each reads the files of an operator's state in a savepoint's folder, in order, and calls use
// for each batch of rows, until that returns an error. A state without files is an error.
func Each(ctx context.Context, folder, operator, state string, use func(arrow.RecordBatch) error) error {
	names, err := filepath.Glob(filepath.Join(folder, "operators", operator, state+"-*.parquet"))
	if err == nil && len(names) == 0 {
		err = errors.New("it has no files")
	}
	slices.Sort(names)
	for _, name := range names {
		if err == nil {
			err = eachOf(ctx, name, use)
		}
	}
	if err != nil {
		return fmt.Errorf("state %q of operator %q in %s: %w", state, operator, folder, err)
	}
	return nil
}

func eachOf(ctx context.Context, name string, use func(arrow.RecordBatch) error) error {
	f, err := file.OpenParquetFile(name, false)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer f.Close()
	columns, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{BatchSize: 4096}, memory.DefaultAllocator)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	table, err := columns.ReadTable(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer table.Release()
	rows := array.NewTableReader(table, 0)
	defer rows.Release()
	for rows.Next() {
		if err := use(rows.RecordBatch()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return rows.Err()
}

// Column is the column of that name; it panics if the batch has none, or of another type.
func Column[C arrow.Array](b arrow.RecordBatch, name string) C {
	at := b.Schema().FieldIndices(name)
	if len(at) != 1 {
		panic(fmt.Sprintf("%d columns %q in %v", len(at), name, b.Schema()))
	}
	return b.Column(at[0]).(C)
}
