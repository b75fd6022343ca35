package flights

import (
	"encoding/json"
	"strconv"

	"github.com/cairnstream/cairn/stream"
)

// Hour is what happened at an origin in one hour.
type Hour struct {
	Origin    string  `json:"origin"`
	Hour      int64   `json:"hour"` // its beginning, Unix milliseconds
	Flights   int64   `json:"flights"`
	MeanDelay float64 `json:"mean_delay"` // minutes
	MaxDelay  int64   `json:"max_delay"`
}

// AppendJSON writes numbers and strings as encoding/json reads them.
func (h Hour) AppendJSON(dst []byte) ([]byte, error) {
	dst = appendString(append(dst, `{"origin":`...), h.Origin)
	dst = strconv.AppendInt(append(dst, `,"hour":`...), h.Hour, 10)
	dst = strconv.AppendInt(append(dst, `,"flights":`...), h.Flights, 10)
	dst = strconv.AppendFloat(append(dst, `,"mean_delay":`...), h.MeanDelay, 'g', -1, 64)
	dst = strconv.AppendInt(append(dst, `,"max_delay":`...), h.MaxDelay, 10)
	return append(dst, '}'), nil
}

// appendString writes a JSON string; airports' codes need no escapes.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // no string has an error
			return append(dst, quoted...)
		}
	}
	dst = append(append(dst, '"'), s...)
	return append(dst, '"')
}

// spread is the delays of a window.
type spread struct {
	Count, Sum, Max int64
}

func (s spread) add(r Row) spread {
	if s.Count == 0 || r.Delay > s.Max {
		s.Max = r.Delay
	}
	s.Count++
	s.Sum += r.Delay
	return s
}

func (s spread) mean() float64 { return float64(s.Sum) / float64(s.Count) }

var delays = stream.Aggregate[Row, spread, spread]{
	Init:   func() spread { return spread{} },
	Add:    spread.add,
	Result: func(s spread) spread { return s },
}

func hourOf(w stream.WindowResult[string, spread]) Hour {
	return Hour{w.Key, w.Start, w.Value.Count, w.Value.mean(), w.Value.Max}
}
