package answer

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// table is a table of events: NAME.parquet in the folder of events.
type table struct {
	name    string
	columns []string
	schema  string
}

// tables are what events are exported as. The primary keys are what the joins look up.
var tables = []table{
	{
		"person",
		[]string{"id", "name", "email_address", "credit_card", "city", "state", "date_time", "extra"},
		"id INTEGER PRIMARY KEY, name TEXT, email_address TEXT, credit_card TEXT, city TEXT, state TEXT, date_time INTEGER, extra TEXT",
	},
	{
		"auction",
		[]string{"id", "item_name", "description", "initial_bid", "reserve", "date_time", "expires", "seller", "category", "extra"},
		"id INTEGER PRIMARY KEY, item_name TEXT, description TEXT, initial_bid INTEGER, reserve INTEGER, " +
			"date_time INTEGER, expires INTEGER, seller INTEGER, category INTEGER, extra TEXT",
	},
	{
		"bid",
		[]string{"auction", "bidder", "price", "channel", "url", "date_time", "extra"},
		"auction INTEGER, bidder INTEGER, price INTEGER, channel TEXT, url TEXT, date_time INTEGER, extra TEXT",
	},
}

// Database holds the events of one export. It is for one goroutine.
type Database struct {
	db *sql.DB
}

// Open loads the events in a folder, person.parquet, auction.parquet and bid.parquet, into a database in memory: about
// 300 bytes per event.
func Open(ctx context.Context, dir string) (*Database, error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // each connection would have a memory of its own
	d := &Database{db}
	for _, t := range tables {
		if err := d.load(ctx, t, []string{filepath.Join(dir, t.name+".parquet")}); err != nil {
			return nil, fmt.Errorf("load %s: %w", t.name, closeAfter(d, err))
		}
	}
	return d, nil
}

// closeAfter closes d and returns why.
func closeAfter(d *Database, err error) error {
	d.Close()
	return err
}

// Close forgets the events.
func (d *Database) Close() error { return d.db.Close() }

// load makes a table anew of the rows of files.
func (d *Database) load(ctx context.Context, t table, files []string) error {
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // nothing after Commit
	if _, err := tx.ExecContext(ctx, "DROP TABLE IF EXISTS "+t.name+"; CREATE TABLE "+t.name+" ("+t.schema+")"); err != nil {
		return err
	}
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(t.columns)), ", ")
	insert, err := tx.PrepareContext(ctx, "INSERT INTO "+t.name+" ("+strings.Join(t.columns, ", ")+") VALUES ("+marks+")")
	if err != nil {
		return err
	}
	defer insert.Close()
	for _, file := range files {
		err := readRows(file, t.columns, func(row []any) error {
			_, err := insert.ExecContext(ctx, row...)
			return err
		})
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

// query calls row for each row of a statement's result. The slice is valid during the call only.
func (d *Database) query(ctx context.Context, statement string, row func([]any) error) error {
	rows, err := d.db.QueryContext(ctx, statement)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values, pointers := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		pointers[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(pointers...); err != nil {
			return err
		}
		if err := row(values); err != nil {
			return err
		}
	}
	return rows.Err()
}
