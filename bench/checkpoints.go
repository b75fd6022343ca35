package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairnstream/cairn/dataflow"
)

const (
	// entryBytes is an entry's key and value in the states that are measured by
	// size: an aggregate, and text that does not compress.
	entryBytes = 100
	// changedShare is the share of the keys that change between two checkpoints.
	changedShare = 0.01
	// checkpointsTaken is how many there are of each size, in half the duration.
	checkpointsTaken = 10
	// checkpointTasks is how many subtasks share a process's uploader.
	checkpointTasks = 2
	// constantBytes is how much changes in a second in the comparison of two sizes.
	constantBytes = 10e6
	// constantTurns is how often each size has its turn.
	constantTurns = 4
	// constantShare is how many times the duration each size has in all: an image
	// takes a while, and is to be the exception as it is in a job.
	constantShare = 2
	// constantCheckpoints is how many there are in a turn.
	constantCheckpoints = 15
	// imagesLeast is how many images of all tasks each size must take meanwhile.
	imagesLeast = 2
)

// sized is a process with a state of that many bytes, by keys and values.
func sized(backend string, bytes int64) setup {
	return setup{
		backend: backend, tasks: checkpointTasks, keys: bytes / entryBytes, value: entryBytes - keySize, changelog: true,
	}
}

// checkpointSizes measures checkpoints against the size of the state, when 1 % of it
// changes from each to the next.
func (r *runner) checkpointSizes(ctx context.Context) error {
	for _, backend := range r.cfg.Backends {
		for _, size := range r.sizes(backend) {
			if err := r.checkpointsAt(ctx, backend, size); err != nil {
				return fmt.Errorf("%s, %s: %w", backend, FormatSize(size), err)
			}
		}
	}
	return nil
}

// sizes are the sizes that are to be measured, as Validate has seen them. Pebble takes
// minutes to fill with a large state, so by default it is spared that.
func (r *runner) sizes(backend string) []int64 {
	var out []int64
	sizes := r.cfg.Sizes
	if len(sizes) == 0 {
		sizes = DefaultSizes
		if backend == dataflow.BackendLSM {
			sizes = sizes[:len(sizes)-1]
		}
	}
	for _, s := range sizes {
		if n, err := ParseSize(s); err == nil {
			out = append(out, n)
		}
	}
	return out
}

func (r *runner) checkpointsAt(ctx context.Context, backend string, size int64) (err error) {
	interval := r.cfg.Duration / 2 / checkpointsTaken
	res := r.result("checkpoint", backend, FormatSize(size), fmt.Sprintf("checkpoints every %v of a state of %s in two tasks,"+
		" while 1 %% of its keys change from each to the next: from the trigger until all is durable", interval, FormatSize(size)))
	p, err := r.newProcess(ctx, sized(backend, size))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.discard(ctx)) }()
	if err := p.prepare(ctx); err != nil {
		return err
	}
	rate := changedShare * float64(p.keys) / interval.Seconds()
	before, imageBefore := p.bucket.Counts(), p.imageBytes()
	o, err := p.run(ctx, load{rate: rate, duration: r.cfg.Duration/2 + interval/2, interval: interval})
	if err != nil {
		return err
	}
	if err := p.settle(ctx); err != nil {
		return err
	}
	res.addCheckpoints(o)
	n := float64(len(o.checkpoints) + 1) // with the last, which is not timed
	after := p.bucket.Counts()
	res.add("log_bytes_per_checkpoint", float64(after.PutBytes-before.PutBytes-p.imageBytes()+imageBefore)/n, "bytes")
	res.add("puts_per_checkpoint", float64(after.Puts-before.Puts)/n, "")
	res.add("changed_bytes_per_checkpoint", float64(o.changes*entryBytes)/n, "bytes")
	res.add("image_bytes", float64(p.imageBytes()-imageBefore), "bytes")
	res.add("updates_per_second", o.perSecond(), "1/s")
	res.add("updates_per_second_offered", rate, "1/s")
	return nil
}

// addCheckpoints adds the durations.
func (r *Result) addCheckpoints(o *outcome) {
	d := o.durations()
	r.add("checkpoints", float64(len(d)), "")
	r.ms("checkpoint_p50", median(d))
	r.ms("checkpoint_p99", quantile(d, 99))
	r.ms("checkpoint_max", quantile(d, 100))
}

// constantRate compares the smallest and the largest size under the same changes.
func (r *runner) constantRate(ctx context.Context) error {
	for _, backend := range r.cfg.Backends {
		if err := r.constantOn(ctx, backend); err != nil {
			return fmt.Errorf("%s: %w", backend, err)
		}
	}
	return nil
}

// side is one of the two sizes.
type side struct {
	size        int64
	process     *process
	checkpoints []time.Duration
	updates     int64
	took        time.Duration
	changes     uint64
	images      int64 // as of the beginning
	imageBytes  int64
	putBytes    int64
	puts        int64
}

func (r *runner) constantOn(ctx context.Context, backend string) (err error) {
	sizes, total := r.sizes(backend), constantShare*r.cfg.Duration
	sides := []*side{{size: slices.Min(sizes)}, {size: slices.Max(sizes)}}
	res := r.result("constant", backend, FormatSize(sides[0].size)+" and "+FormatSize(sides[1].size), fmt.Sprintf(
		"checkpoints every %v under 10 MB/s of changes in two tasks, of two sizes of state in %d turns, with images in the background",
		total/constantTurns/constantCheckpoints, constantTurns))
	for _, s := range sides {
		set := sized(backend, s.size)
		set.logBytes = int64(constantBytes * total.Seconds() / (imagesLeast + 0.5))
		if s.process, err = r.newProcess(ctx, set); err != nil {
			return err
		}
		defer func() {
			err = errors.Join(err, s.process.discard(ctx))
		}()
		if err := s.process.prepare(ctx); err != nil {
			return err
		}
		s.start()
	}
	for range constantTurns {
		for _, s := range sides {
			if err := s.turn(ctx, total/constantTurns); err != nil {
				return fmt.Errorf("%s: %w", FormatSize(s.size), err)
			}
		}
	}
	r.reportConstant(res, sides)
	return nil
}

// start notes what was before the first turn.
func (s *side) start() {
	c := s.process.bucket.Counts()
	s.imageBytes, s.images = s.process.images()
	s.putBytes, s.puts = c.PutBytes, c.Puts
}

func (s *side) turn(ctx context.Context, d time.Duration) error {
	o, err := s.process.run(ctx, load{rate: constantBytes / entryBytes, duration: d, interval: d / constantCheckpoints})
	if err != nil {
		return err
	}
	s.checkpoints = append(s.checkpoints, o.durations()...)
	s.updates += o.updates
	s.took += o.took
	s.changes += o.changes
	return s.process.settle(ctx)
}

func (r *runner) reportConstant(res *Result, sides []*side) {
	for _, s := range sides {
		name := FormatSize(s.size) + "_"
		c := s.process.bucket.Counts()
		imageBytes, images := s.process.images()
		imageBytes, images = imageBytes-s.imageBytes, images-s.images
		logBytes, changed := float64(c.PutBytes-s.putBytes-imageBytes), float64(s.changes*entryBytes)
		res.ms(name+"checkpoint_p50", median(s.checkpoints))
		res.ms(name+"checkpoint_p99", quantile(s.checkpoints, 99))
		res.add(name+"checkpoints", float64(len(s.checkpoints)), "")
		res.add(name+"updates_per_second", float64(s.updates)/s.took.Seconds(), "1/s")
		res.add(name+"changed_bytes", changed, "bytes")
		res.add(name+"log_bytes", logBytes, "bytes")
		res.add(name+"puts", float64(c.Puts-s.puts), "")
		res.add(name+"images", float64(images), "")
		res.add(name+"image_bytes", float64(imageBytes), "bytes")
		r.report.atMost(res.Backend+", log bytes over deduplicated bytes at "+FormatSize(s.size), logBytes/changed, 2, "")
		r.report.atLeast(res.Backend+", images of all tasks taken meanwhile at "+FormatSize(s.size), float64(images)/checkpointTasks, imagesLeast, "")
	}
	small, large := median(sides[0].checkpoints), median(sides[1].checkpoints)
	res.add("median_ratio", float64(large)/float64(small), "")
	r.report.atMost(res.Backend+", checkpoint median of "+FormatSize(sides[1].size)+" over "+FormatSize(sides[0].size),
		float64(large)/float64(small), 1.5, "")
}
