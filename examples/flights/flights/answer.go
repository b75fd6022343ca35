package flights

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
)

// answer is what the job should come to.
type answer struct {
	running []Running // by number
	hours   map[hourKey]Hour
}

type hourKey struct {
	origin string
	hour   int64
}

// compute is the job as a plain loop. The rows are ordered by date.
func compute(rows []Row) *answer {
	a := &answer{running: make([]Running, len(rows)), hours: map[hourKey]Hour{}}
	totals := map[string]total{}
	spreads := map[hourKey]spread{}
	for i, r := range rows {
		t := totals[r.Origin]
		t.Flights++
		t.Delay += r.Delay
		totals[r.Origin] = t
		a.running[i] = Running{int64(i), r.Origin, r.Millis(), t.Flights, t.Delay}

		key := hourKey{r.Origin, r.Millis() - r.Millis()%time.Hour.Milliseconds()}
		spreads[key] = spreads[key].add(r)
	}
	for key, s := range spreads {
		a.hours[key] = Hour{key.origin, key.hour, s.Count, s.mean(), s.Max}
	}
	return a
}

// readExtract reads the embedded file with nothing but the Parquet library.
func readExtract() ([]Row, error) {
	data, err := Data.ReadFile(DataFile)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", DataFile, err)
	}
	rows, err := parquet.Read[Row](bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", DataFile, err)
	}
	for i := 1; i < len(rows); i++ {
		if rows[i].Date < rows[i-1].Date {
			return nil, fmt.Errorf("read %s: row %d is earlier than the one before", DataFile, i)
		}
	}
	return rows, nil
}

// parseRunning reads a line as Running writes it, and any other JSON with
// encoding/json, which takes several times as long.
func parseRunning(line []byte, r *Running) error {
	rest := bytes.TrimSuffix(line, []byte("\n"))
	ok := true
	field := func(name, end string) []byte {
		after, found := bytes.CutPrefix(rest, []byte(name))
		value, tail, ended := bytes.Cut(after, []byte(end))
		ok, rest = ok && found && ended, tail
		return value
	}
	number := func(name, end string) int64 {
		n, err := strconv.ParseInt(string(field(name, end)), 10, 64)
		ok = ok && err == nil
		return n
	}
	r.Number = number(`{"number":`, `,`)
	r.Origin = string(field(`"origin":"`, `",`))
	r.Date = number(`"date":`, `,`)
	r.Flights = number(`"flights":`, `,`)
	r.TotalDelay = number(`"total_delay":`, `}`)
	if ok && len(rest) == 0 {
		return nil
	}
	*r = Running{}
	return json.Unmarshal(line, r)
}
