package dataflow

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestCheckpointOptionsThatContradict: each is refused with the reason and what to do,
// alone and with the defaults filled in.
func TestCheckpointOptionsThatContradict(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct {
		o    Options
		want []string
	}{
		"backlog shorter":      {Options{CheckpointInterval: 10 * s, Checkpoint: CheckpointOptions{IntervalDuringBacklog: 5 * s}}, []string{"interval_during_backlog 5s is shorter than checkpoint_interval 10s", "use 10s or more"}},
		"backlog beside none":  {Options{CheckpointInterval: -1, Checkpoint: CheckpointOptions{IntervalDuringBacklog: 5 * s}}, []string{"which is none", "set checkpoint_interval"}},
		"backlog tiny":         {Options{CheckpointInterval: 10 * time.Millisecond, Checkpoint: CheckpointOptions{IntervalDuringBacklog: 1}}, []string{"use 10ms or more"}},
		"negative volume":      {Options{Checkpoint: CheckpointOptions{EveryBytes: -1, EveryRecords: -1}}, []string{"every_bytes -1", "every_records -1"}},
		"concurrent":           {Options{Checkpoint: CheckpointOptions{MaxConcurrent: 17}}, []string{"max_concurrent 17: use 1 to 16"}},
		"concurrent and pause": {Options{MinPause: s, Checkpoint: CheckpointOptions{MaxConcurrent: 2}}, []string{"max_concurrent 2 with min_pause 1s", "set min_pause to 0"}},
		"jitter":               {Options{Checkpoint: CheckpointOptions{Jitter: 1.1}}, []string{"jitter 1.1", "use 0 to 1"}},
		"mode":                 {Options{Checkpoint: CheckpointOptions{Mode: "EXACTLY_ONCE"}}, []string{`mode "EXACTLY_ONCE": use exactly_once`}},
		"unaligned":            {Options{Checkpoint: CheckpointOptions{Unaligned: "yes"}}, []string{`unaligned "yes": use on or off`}},
		"unaligned twice":      {Options{Checkpoint: CheckpointOptions{Unaligned: "on", MaxConcurrent: 2}}, []string{"checkpoint.unaligned with checkpoint.max_concurrent 2"}},
		"unaligned at least":   {Options{Checkpoint: CheckpointOptions{Unaligned: "on", Mode: AtLeastOnce}}, []string{"checkpoint.unaligned with checkpoint.mode at_least_once"}},
		"timeout at least":     {Options{Checkpoint: CheckpointOptions{AlignedTimeout: s, Mode: AtLeastOnce}}, []string{"checkpoint.aligned_timeout with checkpoint.mode at_least_once", "use exactly_once"}},
		"timeout twice":        {Options{Checkpoint: CheckpointOptions{AlignedTimeout: s, MaxConcurrent: 3}}, []string{"checkpoint.aligned_timeout with checkpoint.max_concurrent 3"}},
		"timeout beside off":   {Options{Checkpoint: CheckpointOptions{AlignedTimeout: s, Unaligned: "off"}}, []string{"aligned_timeout 1s with checkpoint.unaligned off", "leave checkpoint.unaligned out"}},
		"negative timeout":     {Options{Checkpoint: CheckpointOptions{AlignedTimeout: -s}}, []string{"aligned_timeout -1s"}},
		"retention":            {Options{Checkpoint: CheckpointOptions{Retention: "delete"}}, []string{"use delete_on_cancel or retain_on_cancel"}},
		"savepoints":           {Options{Checkpoint: CheckpointOptions{SavepointInterval: 1, SavepointFormat: "parquet", SavepointDirectory: "/tmp", SavepointRetained: -1}}, []string{"savepoint_interval 1ns", "use canonical or native", `savepoint_directory "/tmp": use a URL`, "savepoint_retained -1"}},
		"negative age":         {Options{Checkpoint: CheckpointOptions{MaxAge: -s}}, []string{"max_age -1s"}},
		"age below interval":   {Options{CheckpointInterval: 10 * s, Checkpoint: CheckpointOptions{MaxAge: 10 * s}}, []string{"max_age 10s is not above", "use twice that"}},
		"age below pause":      {Options{MinPause: 20 * s, Checkpoint: CheckpointOptions{MaxAge: 15 * s}}, []string{"max_age 15s is not above", "20s"}},
		"age below backlog":    {Options{Checkpoint: CheckpointOptions{MaxAge: 30 * s, IntervalDuringBacklog: 60 * s}}, []string{"not above checkpoint.interval_during_backlog 1m0s"}},
		"age of none":          {Options{CheckpointInterval: -1, Checkpoint: CheckpointOptions{MaxAge: 30 * s}}, []string{"no checkpoint would begin by itself"}},
	} {
		for filled, err := range map[string]error{"as given": c.o.Validate(), "filled in": c.o.WithDefaults().Validate()} {
			if err == nil {
				t.Errorf("%s, %s: accepted", name, filled)
				continue
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%s, %s: error does not say %q:\n%v", name, filled, w, err)
				}
			}
		}
	}
}

// TestCheckpointOptionsThatFit are accepted, alone and filled in.
func TestCheckpointOptionsThatFit(t *testing.T) {
	const s = time.Second
	for name, o := range map[string]Options{
		"nothing":              {},
		"no periodic":          {CheckpointInterval: -1},
		"backlog":              {CheckpointInterval: 10 * s, Checkpoint: CheckpointOptions{IntervalDuringBacklog: 60 * s}},
		"none in a backlog":    {Checkpoint: CheckpointOptions{IntervalDuringBacklog: -1, MaxAge: 60 * s}},
		"volume and no clock":  {CheckpointInterval: -1, Checkpoint: CheckpointOptions{EveryBytes: 1 << 20, MaxAge: 60 * s}},
		"several":              {Checkpoint: CheckpointOptions{MaxConcurrent: 16}},
		"no jitter":            {Checkpoint: CheckpointOptions{Jitter: -1}},
		"unaligned":            {Checkpoint: CheckpointOptions{Unaligned: "on"}},
		"aligned timeout":      {Checkpoint: CheckpointOptions{AlignedTimeout: s / 2}},
		"both, as Flink's":     {Checkpoint: CheckpointOptions{AlignedTimeout: s / 2, Unaligned: "on"}},
		"at least once, twice": {Checkpoint: CheckpointOptions{Mode: AtLeastOnce, MaxConcurrent: 2}},
		"age":                  {Checkpoint: CheckpointOptions{MaxAge: 60 * s}},
		"savepoints":           {Checkpoint: CheckpointOptions{SavepointInterval: 3600 * s, SavepointDirectory: "s3://b/f", SavepointFormat: Native}},
	} {
		for filled, err := range map[string]error{"as given": o.Validate(), "filled in": o.WithDefaults().Validate()} {
			if err != nil {
				t.Errorf("%s, %s: %v", name, filled, err)
			}
		}
	}
}

// TestBeyond: what is beyond some options, merged over them, is what there was.
func TestBeyond(t *testing.T) {
	var o Options
	fill(reflect.ValueOf(&o).Elem())
	base := Options{Retained: o.Retained, State: StateOptions{Backend: o.State.Backend, MemoryBytes: 1}}
	if got := o.Beyond(o); got != (Options{}) {
		t.Errorf("beyond itself: %+v", got)
	}
	got := o.Beyond(base)
	if got.Retained != 0 || got.State.Backend != "" || got.State.MemoryBytes != o.State.MemoryBytes || base.Merge(got) != o {
		t.Errorf("beyond %+v: %+v", base, got)
	}
}

// TestEveryOptionCanBeMerged: a field that Merge forgets would be lost at submit.
func TestEveryOptionCanBeMerged(t *testing.T) {
	var o Options
	fill(reflect.ValueOf(&o).Elem())
	if got := (Options{}).Merge(o); got != o {
		t.Errorf("merged %+v, want %+v", got, o)
	}
	if got := o.Merge(Options{}); got != o {
		t.Errorf("merged with nothing %+v, want %+v", got, o)
	}
}

// TestEveryOptionIsOneOrTheOther: an option either can be changed at run time, or
// NeedsRestart names it as its JSON does.
func TestEveryOptionIsOneOrTheOther(t *testing.T) {
	var all Options
	fill(reflect.ValueOf(&all).Elem())
	named := strings.Join(Options{}.NeedsRestart(all), " ")
	running := all.RunningOptions()
	rest := Options{BatchRows: all.BatchRows, BatchLinger: all.BatchLinger, ChannelBatches: all.ChannelBatches, State: all.State}
	if running.Merge(rest) != all || len(running.NeedsRestart(Options{})) != 0 || running == all {
		t.Errorf("%+v and %+v are not all of %+v", running, rest, all)
	}
	const want = "batch_rows batch_linger channel_batches state.backend state.memory_bytes state.recovery_target state.log_bytes state.spool_bytes state.compression state.local_recovery"
	if named != want {
		t.Errorf("needs a restart: %s, want %s", named, want)
	}
	if n := reflect.TypeFor[StateOptions]().NumField(); n != strings.Count(want, "state.") {
		t.Errorf("%d options of state: NeedsRestart does not know all", n)
	}
}

// fill gives every field a value that is not zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Float64:
		v.SetFloat(0.5)
	default:
		v.SetInt(7)
	}
}
