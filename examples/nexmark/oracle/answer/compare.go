package answer

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
)

// shown is how many missing and how many extra rows a difference lists: enough to see the kind of a mistake.
const shown = 10

// digest stands for a row. Rows are told apart by it, since a million of them would take
// ten times the memory; the first half of SHA-256 has no two rows in common.
type digest [16]byte

func digestOf(line []byte) digest {
	sum := sha256.Sum256(line)
	return digest(sum[:16])
}

// Expected is the right result of a query over the events of a database.
type Expected struct {
	Query
	// Rows is how many rows the result has.
	Rows int

	db     *Database
	counts map[digest]int
}

// Difference is what is wrong with a result. The zero value: nothing.
type Difference struct {
	// Missing and Extra count the rows that should be there and are not, and the other way round.
	Missing, Extra int
	// MissingRows and ExtraRows are the first of them.
	MissingRows, ExtraRows []string
}

// Expected computes the result of a query.
func (d *Database) Expected(ctx context.Context, query string) (*Expected, error) {
	q, err := Lookup(query)
	if err != nil {
		return nil, err
	}
	e := &Expected{Query: q, db: d, counts: map[digest]int{}}
	err = e.eachExpected(ctx, func(line []byte) error {
		e.Rows++
		e.counts[digestOf(line)]++
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("compute %s: %w", query, err)
	}
	return e, nil
}

// Compare reads the rows that a run left in a folder and says how they differ from the right ones,
// as multisets: order means nothing, a row too often is a row too much.
func (e *Expected) Compare(ctx context.Context, dir string) (Difference, error) {
	balance := make(map[digest]int, len(e.counts))
	for k, n := range e.counts {
		balance[k] = n
	}
	err := e.eachActual(ctx, dir, func(line []byte) error {
		balance[digestOf(line)]--
		return nil
	})
	if err != nil {
		return Difference{}, fmt.Errorf("compare %s: %w", e.Name, err)
	}
	var out Difference
	for k, n := range balance {
		switch {
		case n == 0:
			delete(balance, k)
		case n > 0:
			out.Missing += n
		default:
			out.Extra -= n
		}
	}
	if len(balance) > 0 {
		err = e.show(ctx, dir, balance, &out)
	}
	return out, err
}

// show adds the first rows of each kind to a difference, given how often each
// row is missing, or if below zero, too much.
func (e *Expected) show(ctx context.Context, dir string, balance map[digest]int, out *Difference) error {
	err := e.eachExpected(ctx, func(line []byte) error {
		if k := digestOf(line); balance[k] > 0 && len(out.MissingRows) < shown {
			balance[k]--
			out.MissingRows = append(out.MissingRows, string(line))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return e.eachActual(ctx, dir, func(line []byte) error {
		if k := digestOf(line); balance[k] < 0 && len(out.ExtraRows) < shown {
			balance[k]++
			out.ExtraRows = append(out.ExtraRows, string(line))
		}
		return nil
	})
}

// eachExpected calls line for each right row, as text. The slice is valid during the call only.
func (e *Expected) eachExpected(ctx context.Context, line func([]byte) error) error {
	return e.db.query(ctx, e.SQL, liner(line))
}

// eachActual does that for the rows of a run.
func (e *Expected) eachActual(ctx context.Context, dir string, line func([]byte) error) error {
	files, err := parquetFiles(dir)
	if err != nil {
		return err
	}
	if e.ResultSQL != "" {
		result := table{name: "result", columns: e.Columns, schema: strings.Join(e.Columns, ", ")}
		if err := e.db.load(ctx, result, files); err != nil {
			return err
		}
		return e.db.query(ctx, e.ResultSQL, liner(line))
	}
	for _, file := range files {
		if err := readRows(file, e.Columns, liner(line)); err != nil {
			return err
		}
	}
	return nil
}

// liner makes text of rows: their values with commas between them, text in quotes, so that different rows
// are different texts.
func liner(line func([]byte) error) func([]any) error {
	var buf []byte
	return func(row []any) error {
		buf = buf[:0]
		for i, value := range row {
			if i > 0 {
				buf = append(buf, ", "...)
			}
			switch v := value.(type) {
			case int64:
				buf = strconv.AppendInt(buf, v, 10)
			case string:
				buf = strconv.AppendQuote(buf, v)
			default:
				buf = fmt.Appendf(buf, "%T(%v)", v, v) // equals nothing that a file can have
			}
		}
		return line(buf)
	}
}

// Equal reports whether nothing differs.
func (d Difference) Equal() bool { return d.Missing == 0 && d.Extra == 0 }

// String counts and lists what differs.
func (d Difference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d rows are missing, %d are too much", d.Missing, d.Extra)
	for _, row := range d.MissingRows {
		fmt.Fprintf(&b, "\n  missing: %s", row)
	}
	for _, row := range d.ExtraRows {
		fmt.Fprintf(&b, "\n  extra:   %s", row)
	}
	return b.String()
}
