package answer

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed sql
var files embed.FS

// Query is a query of Nexmark.
type Query struct {
	// Name is q and its number.
	Name string
	// Columns are those of a run's results, in any order. All are whole numbers or text.
	Columns []string
	// SQL finds the right results in the tables person, auction and bid.
	SQL string
	// ResultSQL makes of a run's results, the table result, what can be compared; "" where that is each row as it is.
	ResultSQL string
}

// columns lists the queries and the columns of their results.
var columns = []struct{ name, columns string }{
	{"q0", "auction bidder price date_time extra"},
	{"q1", "auction bidder price date_time extra"},
	{"q2", "auction price"},
	{"q3", "name city state id"},
	{"q4", "category average auctions version"},
	{"q5", "starttime endtime auction num"},
	{"q7", "auction bidder price date_time extra"},
	{"q8", "id name starttime"},
	{"q11", "bidder bid_count starttime endtime"},
	{"q12", "bidder bid_count starttime endtime"},
	{"q13", "auction bidder price date_time value"},
	{"q22", "auction bidder price channel dir1 dir2 dir3"},
}

// Names lists the queries that have an answer.
func Names() []string {
	var names []string
	for _, c := range columns {
		names = append(names, c.name)
	}
	return names
}

// Lookup finds a query by its name.
func Lookup(name string) (Query, error) {
	for _, c := range columns {
		if c.name != name {
			continue
		}
		q := Query{Name: name, Columns: strings.Fields(c.columns)}
		var err error
		if q.SQL, err = statement(name + ".sql"); err != nil {
			return Query{}, err
		}
		if _, err := fs.Stat(files, "sql/"+name+".result.sql"); err == nil {
			q.ResultSQL, err = statement(name + ".result.sql")
			return q, err
		}
		return q, nil
	}
	return Query{}, fmt.Errorf("there is no query %q: choose of %s", name, strings.Join(Names(), ", "))
}

func statement(file string) (string, error) {
	b, err := files.ReadFile("sql/" + file)
	return string(b), err
}
