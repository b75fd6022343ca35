package inspect_test

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/inspect"
	"github.com/cairnstream/cairn/state/inspect/inspecttest"
)

const groups = 64

// now is the clock of the states.
var now = time.Date(2013, 1, 31, 9, 15, 0, 0, time.UTC)

// delay is a value of the carriers' state.
type delay struct {
	Flights int64
	Worst   string
}

// carriers keeps something of every kind for each carrier.
type carriers struct {
	t       *testing.T
	p       *inspecttest.Process
	keys    codec.Codec[string]
	delays  []*state.Value[delay]
	days    []*state.Map[string, int64]
	windows []*state.Value[int64]
	seen    []*state.List[string]
	recent  []*state.Value[int64]
	timers  []*state.Timers
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// start starts the carriers' process on a bucket.
func start(t *testing.T, b objectstore.Bucket) *carriers { return startWith(t, b, "memory", false) }

func startWith(t *testing.T, b objectstore.Bucket, backend string, images bool) *carriers {
	t.Helper()
	c := &carriers{t: t, keys: must[codec.Codec[string]](t)(codec.Key[string]())}
	c.p = inspecttest.Start(t, inspecttest.Config{
		Bucket: b, Prefix: "c/jobs/j/1/p/", UID: "delays", KeySchema: c.keys.Schema(), KeyGroups: groups, Parallelism: 2,
		Backend: backend, Images: images,
	})
	window := must[codec.Codec[time.Time]](t)(codec.Ordered[time.Time]())
	for _, s := range c.p.Stores() {
		lives := state.NewLifetimes(s, now.UnixMilli)
		c.delays = append(c.delays, must[*state.Value[delay]](t)(state.NewValue[delay](s, "delay")))
		c.days = append(c.days, must[*state.Map[string, int64]](t)(state.NewMap[string, int64](s, "by day")))
		c.windows = append(c.windows, must[*state.Value[int64]](t)(state.NewValue[int64](s, "window", state.Namespaced(window))))
		c.seen = append(c.seen, must[*state.List[string]](t)(state.NewList[string](s, "seen")))
		c.recent = append(c.recent, must[*state.Value[int64]](t)(state.NewValue[int64](s, "recent", state.WithTTL(lives, state.TTL{After: time.Hour}))))
		c.timers = append(c.timers, must[*state.Timers](t)(state.NewTimers(s, "timers")))
	}
	return c
}

// set chooses a carrier and returns the number of its subtask.
func (c *carriers) set(carrier string) int { return c.p.SetKey(c.keys.Append(nil, &carrier)) }

// fill gives a carrier an entry in every state.
func (c *carriers) fill(carrier string) {
	c.t.Helper()
	i := c.set(carrier)
	window := must[codec.Codec[time.Time]](c.t)(codec.Ordered[time.Time]())
	c.windows[i].In(window.Append(nil, &now))
	c.timers[i].Register(now.UnixMilli(), []byte("close"))
	for _, err := range []error{
		c.delays[i].Set(delay{Flights: int64(len(carrier)), Worst: carrier + "-1"}),
		c.days[i].Put("tue", 2), c.days[i].Put("mon", 1),
		c.windows[i].Set(7), c.seen[i].Append("x"), c.seen[i].Append("y"), c.recent[i].Set(5),
	} {
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

// forget removes all that fill puts.
func (c *carriers) forget(carrier string) {
	i := c.set(carrier)
	window := must[codec.Codec[time.Time]](c.t)(codec.Ordered[time.Time]())
	c.windows[i].In(window.Append(nil, &now))
	c.timers[i].Delete(now.UnixMilli(), []byte("close"))
	c.delays[i].Clear()
	c.days[i].Clear()
	c.windows[i].Clear()
	c.seen[i].Clear()
	c.recent[i].Clear()
}

// filled is what fill does, as lines prints it.
func filled(carrier string) []string {
	return []string{
		carrier + ` by day[mon] = 1`,
		carrier + ` by day[tue] = 2`,
		fmt.Sprintf(`%s delay = {"Flights":%d,"Worst":"%s-1"}`, carrier, len(carrier), carrier),
		carrier + ` recent = 5 at 2013-01-31T09:15:00Z`,
		carrier + ` seen[0] = x`,
		carrier + ` seen[1] = y`,
		carrier + ` timers[["2013-01-31T09:15:00Z","close"]]`,
		carrier + ` window[2013-01-31T09:15:00Z] = 7`,
	}
}

// line is a printed entry on a line.
func line(p inspect.Printed) string {
	text := inspect.Text(p.Key) + " " + p.State
	if p.Sub != nil {
		text += "[" + inspect.Text(p.Sub) + "]"
	}
	if p.Value != nil {
		text += " = " + inspect.Text(p.Value)
	}
	if !p.LastUse.IsZero() {
		text += " at " + p.LastUse.Format(time.RFC3339)
	}
	return text
}

func printer(t *testing.T, o *inspect.Operator) *inspect.Printer {
	t.Helper()
	return must[*inspect.Printer](t)(inspect.NewPrinter(o))
}

func scan(t *testing.T, r *inspect.Reader, o *inspect.Operator) (lines []string) {
	t.Helper()
	p := printer(t, o)
	err := r.Scan(t.Context(), o, func(e inspect.Entry) error {
		printed, err := p.Print(e)
		lines = append(lines, line(printed))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// inOrder sorts carriers as a scan does.
func (c *carriers) inOrder(names ...string) []string {
	key := func(s string) []byte { return c.keys.Append(nil, &s) }
	slices.SortFunc(names, func(a, b string) int {
		ga, gb := dataflow.KeyGroup(dataflow.KeyHash(key(a)), groups), dataflow.KeyGroup(dataflow.KeyHash(key(b)), groups)
		return cmp.Or(cmp.Compare(ga, gb), strings.Compare(string(key(a)), string(key(b))))
	})
	return names
}

// TestScanShowsEverythingInOrder for both backends, from changes alone, and from full
// images with changes behind them.
func TestScanShowsEverythingInOrder(t *testing.T) {
	for _, backend := range []string{"memory", "lsm"} {
		for _, images := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/images=%v", backend, images), func(t *testing.T) { scanEverything(t, backend, images) })
		}
	}
}

func scanEverything(t *testing.T, backend string, images bool) {
	b := mem.New()
	c := startWith(t, b, backend, images)
	names := []string{"AA", "DL", "UA", "WN", "B6", "EV", "a carrier of many words"}
	if images {
		for id := range dataflow.CheckpointID(3) {
			for _, n := range names {
				c.set(n)
				c.forget(n) // all changes, and nothing stays
			}
			for _, n := range names[:4] {
				c.fill(n)
			}
			c.p.Checkpoint(id + 1)
		}
		c.p.Imaged(4)
		for _, n := range names[:4] {
			c.forget(n)
		}
	}
	for _, n := range names {
		c.fill(n)
	}
	part := c.p.Checkpoint(1_000_000)
	var want []string
	for _, n := range c.inOrder(names...) {
		want = append(want, filled(n)...)
	}
	o := inspect.Operators([]snapshot.Process{part})[0]
	temp := t.TempDir()
	for _, size := range []int64{0, 300, 1} { // one slice, some, one a key group
		if got := scan(t, &inspect.Reader{Bucket: b, TempDir: temp, SliceBytes: size}, o); !slices.Equal(got, want) {
			t.Errorf("slices of %d bytes:\n%s\nwant\n%s", size, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	only := scan(t, &inspect.Reader{Bucket: b, TempDir: temp, State: "recent"}, o)
	if len(only) != len(names) || !strings.Contains(only[0], " recent = 5") {
		t.Errorf("one state: %q", only)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestOperatorsDescribeTheirStates(t *testing.T) {
	c := start(t, mem.New())
	c.fill("AA")
	c.p.Lists = map[string][][]byte{"splits": {[]byte("s")}}
	all := inspect.Operators([]snapshot.Process{c.p.Checkpoint(1)})
	if len(all) != 1 || inspect.Find(all, "delays") != all[0] || inspect.Find(all, "other") != nil {
		t.Fatalf("operators %+v", all)
	}
	o := all[0]
	var states []string
	for _, s := range o.States {
		states = append(states, fmt.Sprintf("%s: %s of %s, %v", s.Name, s.Kind, s.Schema, s.TTL))
	}
	want := []string{
		"by day: map of ordered string -> fixed int64, 0s", "delay: value of {Flights:int64,Worst:string}, 0s", "recent: value of ttl fixed int64, 1h0m0s",
		"seen: list of ordered uint64 -> string, 0s", "timers: timers of time int64, tag bytes, 0s", "window: value of ordered time -> fixed int64, 0s",
	}
	if !slices.Equal(states, want) {
		t.Errorf("states\n%s", strings.Join(states, "\n"))
	}
	if lo, hi, ok := o.Groups(); lo != 0 || hi != groups-1 || !ok || o.Subtasks != 2 || o.Backend != "memory" || o.KeySchema != "string" {
		t.Errorf("operator %+v", o)
	}
	if len(o.Items) != 1 || o.Items[0].Name != "splits" || len(o.Items[0].Items) != 2 {
		t.Errorf("items %+v", o.Items)
	}
}

func TestWithoutKeyedState(t *testing.T) {
	o := &inspect.Operator{UID: "read"}
	r := inspect.Reader{Bucket: mem.New()}
	for _, err := range []error{
		r.Scan(t.Context(), o, nil),
		r.Get(t.Context(), o, nil, groups, nil),
	} {
		if !errors.Is(err, inspect.ErrNoKeyed) || !strings.Contains(err.Error(), "operator read") {
			t.Errorf("error %v", err)
		}
	}
	if err := r.Diff(t.Context(), o, nil, nil); err != nil {
		t.Errorf("diff: %v", err)
	}
	o = &inspect.Operator{UID: "count", Backend: "rocks", Handles: []snapshot.Keyed{{GroupHi: 1, Backend: "rocks"}}}
	if err := r.Scan(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), `state backend "rocks"`) {
		t.Errorf("unknown backend: %v", err)
	}
}
