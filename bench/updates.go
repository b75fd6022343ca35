package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/dataflow"
)

const (
	// updateTurns is how often each variant has its turn: medians of as many.
	updateTurns = 5
	// updateShare is the part of the duration that a turn takes: there are 28.
	updateShare = 20
	// pacedRate is the rate at which the changelog must cost no throughput.
	pacedRate = 1e6
	// keysSmall fit into no cache of the processor, keysLarge beyond its reach too.
	keysSmall, keysLarge = 1e6, 10e6
	// keysQuick is for a run that shows that the command works.
	keysQuick = 10e3
)

// keyCounts are the numbers of keys to measure. Pebble takes a minute to fill with
// the large one.
func (r *runner) keyCounts(backend string) []int64 {
	switch {
	case r.cfg.Quick:
		return []int64{keysQuick}
	case backend == dataflow.BackendLSM:
		return []int64{keysSmall}
	}
	return []int64{keysSmall, keysLarge}
}

// updates measures what a change costs, without a changelog, with one, and with one
// that takes images as it does by default.
func (r *runner) updates(ctx context.Context) error {
	for _, backend := range r.cfg.Backends {
		for _, keys := range r.keyCounts(backend) {
			if err := r.updatesOf(ctx, backend, keys); err != nil {
				return fmt.Errorf("%s, %d keys: %w", backend, keys, err)
			}
		}
	}
	return nil
}

// variant is one of the things that are compared.
type variant struct {
	name    string
	process *process
	// Of each turn at saturation: ns of the task's thread and by the clock for an
	// update, updates per second, and changes logged for an update.
	cpu, wall, rate, logged []float64
	paced                   []float64 // updates per second at the fixed rate
	busy                    []float64 // CPU share of the task's thread at it, in percent
}

func (r *runner) updatesOf(ctx context.Context, backend string, keys int64) (err error) {
	res := r.result("updates", backend, formatCount(keys), fmt.Sprintf("random changes of %s 64-bit keys with 32-byte aggregates, in batches of %d,"+
		" by one task: CPU time of its thread in the store's calls (by the clock where the system does not tell), medians of %d turns. Records are drawn beforehand."+
		" With the changelog on there are two checkpoints in each turn. The plain array is what the machine's memory allows at the moment.", formatCount(keys), batchRows, updateTurns))
	s := setup{backend: backend, tasks: 1, keys: keys, value: aggregateSize}
	variants := []*variant{{name: "off"}, {name: "on"}, {name: "images"}}
	for i, v := range variants {
		s.changelog = i > 0
		s.logBytes = []int64{0, noImages, 0}[i]
		if v.process, err = r.newProcess(ctx, s); err != nil {
			return err
		}
		defer func() {
			err = errors.Join(err, v.process.discard(ctx))
		}()
		if err := v.process.prepare(ctx); err != nil {
			return err
		}
	}
	turn, least := r.cfg.Duration/updateShare, newFloor(keys)
	for n := range updateTurns + 1 {
		least.turn(turn / 4)
		for _, v := range variants {
			if err := v.saturate(ctx, turn, n > 0); err != nil {
				return err
			}
		}
	}
	for range updateTurns {
		for _, v := range variants[:2] {
			if err := v.pace(ctx, turn); err != nil {
				return err
			}
		}
	}
	res.add("plain_array_cpu", median(least.cpu), "ns")
	r.reportUpdates(res, keys, variants)
	return nil
}

// prepare gives all keys a value and takes the first checkpoint.
func (p *process) prepare(ctx context.Context) error {
	if err := p.fill(ctx); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	if p.uploader == nil {
		return nil
	}
	if _, err := p.checkpoint(ctx); err != nil {
		return err
	}
	return p.settle(ctx)
}

// saturate has a turn as fast as the task can; the first one only warms up.
func (v *variant) saturate(ctx context.Context, turn time.Duration, counts bool) error {
	o, err := v.turn(ctx, load{duration: turn})
	if err != nil || !counts {
		return err
	}
	n := float64(o.updates)
	v.cpu = append(v.cpu, o.cpuPerUpdate())
	v.wall = append(v.wall, float64(o.wall)/n)
	v.rate = append(v.rate, o.perSecond())
	v.logged = append(v.logged, float64(o.changes)/n)
	return nil
}

// pace has a turn at the fixed rate.
func (v *variant) pace(ctx context.Context, turn time.Duration) error {
	o, err := v.turn(ctx, load{duration: turn, rate: pacedRate})
	if err != nil {
		return err
	}
	v.paced = append(v.paced, o.perSecond())
	v.busy = append(v.busy, 100*o.cpu.Seconds()/o.took.Seconds())
	return nil
}

func (v *variant) turn(ctx context.Context, l load) (*outcome, error) {
	if v.process.changelog {
		l.interval = l.duration * 2 / 5
	}
	o, err := v.process.run(ctx, l)
	if err != nil {
		return nil, fmt.Errorf("changelog %s: %w", v.name, err)
	}
	return o, v.process.settle(ctx)
}

func (r *runner) reportUpdates(res *Result, keys int64, variants []*variant) {
	off, on, images := variants[0], variants[1], variants[2]
	var costs, slower []float64
	for i := range on.cpu {
		costs = append(costs, (on.cpu[i]-off.cpu[i])/on.logged[i])
	}
	for i := range on.paced {
		slower = append(slower, 100*(1-on.paced[i]/off.paced[i]))
	}
	cost, loss, cpu := median(costs), median(slower), median(on.cpu)
	for _, v := range variants {
		res.add("update_cpu_changelog_"+v.name, median(v.cpu), "ns")
	}
	res.add("changelog_cpu_per_logged_change", cost, "ns")
	for _, v := range variants {
		res.add("update_wall_changelog_"+v.name, median(v.wall), "ns")
		res.add("updates_per_second_changelog_"+v.name, median(v.rate), "1/s")
	}
	res.add("changes_logged_per_update", median(on.logged), "")
	for _, v := range variants[:2] {
		res.add("paced_updates_per_second_changelog_"+v.name, median(v.paced), "1/s")
		res.add("paced_task_cpu_changelog_"+v.name, median(v.busy), "%")
	}
	res.add("paced_throughput_loss", loss, "%")
	if _, took := images.process.images(); took > 0 {
		res.add("images_taken", float64(took), "")
	}
	if res.Backend != dataflow.BackendMemory {
		return
	}
	limit := 100.0
	if keys > keysSmall {
		limit = 150
	}
	r.report.atMost("update of "+formatCount(keys)+" keys, changelog on", cpu, limit, "ns")
	r.report.atMost("changelog per logged change, "+formatCount(keys)+" keys", cost, 35, "ns")
	r.report.atMost("throughput lost at 1 M updates/s, "+formatCount(keys)+" keys", loss, 1, "%")
}
