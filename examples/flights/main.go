// Command flights is a streaming job over real data: package flights has it.
//
//	go run ./examples/flights                            in this process
//	cairn job submit ./examples/flights -- --out=s3://…  in a cluster
package main

import (
	"os"
	"path/filepath"

	"github.com/cairnstream/cairn/examples/flights/flights"
	"github.com/cairnstream/cairn/stream"
)

func main() {
	cfg := flights.Defaults()
	cfg.Out = "file://" + filepath.ToSlash(filepath.Join(os.TempDir(), "cairn-flights"))
	stream.MainWith("flights", cfg, flights.Build)
}
