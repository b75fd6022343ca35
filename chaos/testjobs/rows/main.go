// Command rows copies the rows of a file, and what is no row to another place.
package main

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/files"
	"github.com/cairnstream/cairn/connector/filesink"
	"github.com/cairnstream/cairn/connector/generator"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/stream"
)

type config struct {
	In   string `help:"a .csv or .jsonl file"`
	Out  string `help:"folder for the rows"`
	Bad  string `help:"folder for what is no row"`
	Fail bool   `help:"fail at the first bad row"`
	Stay bool   `help:"run on after the last row"`
}

type row struct {
	ID   int64  `json:"id" csv:"id"`
	Name string `json:"name" csv:"name"`
}

func main() {
	stream.MainWith("rows", config{}, func(p *stream.Pipeline, cfg config) {
		p.Options(dataflow.Options{CheckpointInterval: 200 * time.Millisecond})
		source := files.JSONLines[row](cfg.In)
		if strings.HasSuffix(cfg.In, ".csv") {
			source = files.CSV[row](cfg.In)
		}
		var bad stream.Stream[connector.BadRecord]
		options := []stream.Option{stream.UID("read"), stream.BadRecordsTo(&bad)}
		if cfg.Fail {
			options = append(options, stream.FailOnBadRecord())
		}
		rows := stream.From(p, "read", source, options...)
		if cfg.Stay {
			rows = stream.Union(rows, silence(p))
		}
		stream.To(rows, "write", filesink.JSONLines[row](cfg.Out), stream.UID("write"))
		stream.To(bad, "set-aside", filesink.JSONLines[connector.BadRecord](cfg.Bad), stream.UID("set-aside"))
	})
}

// silence is a stream that never ends and never has a row.
func silence(p *stream.Pipeline) stream.Stream[row] {
	source := &generator.Source[row]{Make: func(int64, *rand.Rand) row { return row{} }, Rate: 1}
	return stream.Filter(stream.From(p, "stay", source, stream.UID("stay")), "never", func(row) bool { return false })
}
