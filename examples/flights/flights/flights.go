// Package flights is a job over real data: the 508,239 flights within the USA of
// January 2001, replayed at a steady rate of event time.
//
// For each airport of origin it computes the running number of flights and total
// delay (keyed state and timers), and number, mean and greatest delay of each
// hour (windows), into exactly-once file sinks. Every row of input has a number,
// and so has every running row of output: Verify computes the answer again with
// a plain loop over the same file and compares all of it.
//
//	 flights ──┬─ by origin ─ running ─ running-out
//	(8 splits) └─ by origin ─ hourly ── hourly-out
package flights

import (
	"embed"
	"errors"
	"time"

	"github.com/cairnstream/cairn/connector/files"
	"github.com/cairnstream/cairn/connector/filesink"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/stream"
)

// Data holds DataFile, so that the job needs no input but itself.
//
//go:embed flights.parquet
var Data embed.FS

// DataFile is the extract's name in Data. README.md tells where it comes from.
const DataFile = "flights.parquet"

// Rows is the number of rows in DataFile.
const Rows = 508_239

// The uids of the job's operators.
const (
	SourceUID     = "flights"
	RunningUID    = "running"
	HourlyUID     = "hourly"
	RunningOutUID = "running-out"
	HourlyOutUID  = "hourly-out"
)

// splits is the number of splits of the input: twice the usual parallelism, so
// that the job can be scaled up and down.
const splits = 8

// Row is a flight.
type Row struct {
	Number      int64  `parquet:"-"`        // its place in the file, from 0
	Date        int64  `parquet:"date"`     // scheduled departure, local time as if UTC, Unix microseconds
	Delay       int64  `parquet:"delay"`    // of the arrival, minutes; negative if early
	Distance    int64  `parquet:"distance"` // miles
	Origin      string `parquet:"origin"`   // IATA code
	Destination string `parquet:"destination"`
}

// Millis is the flight's event time.
func (r Row) Millis() int64 { return r.Date / 1000 }

// Config is the job's arguments.
type Config struct {
	// Out is the bucket or folder to write to, a URL. It must be given.
	Out string `help:"bucket or folder for the output, a URL"`
	// From is another input with the same columns: path or URL of Parquet
	// files. Default: the embedded extract.
	From string `help:"other input: path or URL of Parquet files (default the embedded extract)"`
	// Duration is how long the replay takes. 0 is as fast as possible.
	Duration time.Duration `help:"length of the replay; 0 is as fast as possible"`
	// Parallelism is the number of subtasks of every operator.
	Parallelism int `help:"subtasks of every operator"`
	// CheckpointInterval is the time between checkpoints.
	CheckpointInterval time.Duration `help:"time between checkpoints"`
}

// Defaults is the Config of the demonstration, without an Out.
func Defaults() Config {
	return Config{Duration: 25 * time.Second, Parallelism: 4, CheckpointInterval: 500 * time.Millisecond}
}

// Build builds the job.
func Build(p *stream.Pipeline, cfg Config) {
	if cfg.Out == "" {
		p.Fail(errors.New("nowhere to write to: give --out=URL of a bucket or folder"))
	}
	p.Parallelism(cfg.Parallelism)
	p.Options(dataflow.Options{CheckpointInterval: cfg.CheckpointInterval})

	rows := stream.From(p, "flights", source(cfg), stream.UID(SourceUID), stream.Monotonic())
	byOrigin := stream.KeyBy(rows, func(r Row) string { return r.Origin })

	running := stream.Process(byOrigin, "running", newRunning, stream.UID(RunningUID))
	stream.To(running, "running-out", filesink.JSONLines[Running](cfg.Out), stream.UID(RunningOutUID))

	hours := stream.Window(byOrigin, "hourly", stream.Tumbling(time.Hour), delays, stream.UID(HourlyUID))
	hourly := stream.Map(hours, "hour", hourOf)
	stream.To(hourly, "hourly-out", filesink.JSONLines[Hour](cfg.Out), stream.UID(HourlyOutUID))
}

// source reads the rows with their numbers.
func source(cfg Config) *files.Source[Row] {
	src := files.Parquet[Row](DataFile)
	src.FS = Data
	if cfg.From != "" {
		src.Location, src.FS = cfg.From, nil
	}
	src.Stride = splits
	src.Number = func(r *Row, number int64) { r.Number = number }
	src.Time = Row.Millis
	if cfg.Duration > 0 {
		src.Replay = &files.Replay{Duration: cfg.Duration}
	}
	return src
}
