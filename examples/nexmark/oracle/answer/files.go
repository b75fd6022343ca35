package answer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// rowBatch is how many rows are decoded at a time: some 100 KB of bids.
const rowBatch = 512

// readRows calls row for each row of a Parquet file with the named columns, in this order: an int64 or a
// string each. The slice is valid during the call only.
//
// The file has all of these columns and no others, and no empty values: what the oracle does not look at it
// would not check.
func readRows(path string, columns []string, row func([]any) error) error {
	if err := readFile(path, columns, row); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func readFile(path string, columns []string, row func([]any) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		return err
	}
	places, err := placesOf(file.Schema(), columns)
	if err != nil {
		return err
	}
	for _, group := range file.RowGroups() {
		if err := readGroup(group, places, row); err != nil {
			return err
		}
	}
	return nil
}

// placesOf says for each leaf column of a file where its value goes in a row.
func placesOf(schema *parquet.Schema, columns []string) ([]int, error) {
	var places []int
	var has []string
	for _, path := range schema.Columns() {
		name := strings.Join(path, ".")
		has = append(has, name)
		places = append(places, slices.Index(columns, name))
	}
	want := slices.Sorted(slices.Values(columns))
	if slices.Sort(has); !slices.Equal(has, want) {
		return nil, fmt.Errorf("the columns are %s; expected are %s", strings.Join(has, ", "), strings.Join(want, ", "))
	}
	return places, nil
}

func readGroup(group parquet.RowGroup, places []int, row func([]any) error) error {
	rows := group.Rows()
	defer rows.Close()
	batch := make([]parquet.Row, rowBatch)
	values := make([]any, len(places))
	for {
		n, err := rows.ReadRows(batch)
		for _, r := range batch[:n] {
			for _, v := range r {
				value, err := plain(v)
				if err != nil {
					return err
				}
				values[places[v.Column()]] = value
			}
			if err := row(values); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// plain is a value as the database knows it.
func plain(v parquet.Value) (any, error) {
	switch {
	case v.IsNull():
	case v.Kind() == parquet.Int64:
		return v.Int64(), nil
	case v.Kind() == parquet.Int32:
		return int64(v.Int32()), nil
	case v.Kind() == parquet.ByteArray:
		return string(v.ByteArray()), nil
	}
	return nil, fmt.Errorf("column %d has the value %v of kind %v: only whole numbers and text can be compared", v.Column(), v, v.Kind())
}

// parquetFiles lists the Parquet files in a folder and those below it. None is
// an error: the result of a query that found nothing is at least one file without
// rows, or an empty folder, which is told from one that is not there.
func parquetFiles(dir string) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Ext(path) == ".parquet" {
			paths = append(paths, path)
		}
		return err
	})
	return paths, err
}
