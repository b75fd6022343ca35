package streamtest

import (
	"fmt"
	"reflect"
	"strings"
)

// Want checks that exactly these records came out since the last look, in this order. Without
// arguments nothing came. With several subtasks the order across keys is not fixed:
// use WantInAnyOrder.
func (o *Out[T]) Want(want ...T) {
	o.job.t.Helper()
	got := o.Take()
	same := len(got) == len(want)
	for i := 0; same && i < len(got); i++ {
		same = reflect.DeepEqual(got[i], want[i])
	}
	if !same {
		o.differ("in this order", got, want)
	}
}

// WantInAnyOrder checks that exactly these records came out since the last look.
func (o *Out[T]) WantInAnyOrder(want ...T) {
	o.job.t.Helper()
	got := o.Take()
	missing, extra := difference(got, want)
	if len(missing) > 0 || len(extra) > 0 {
		o.differ("in any order", got, want)
	}
}

// differ reports what is missing and what is too much.
func (o *Out[T]) differ(order string, got, want []T) {
	o.job.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "output %q after step %d: got %d records, want %d %s\n", o.uid, o.job.steps, len(got), len(want), order)
	list(&b, "got", got)
	list(&b, "want", want)
	missing, extra := difference(got, want)
	list(&b, "missing", missing)
	list(&b, "too much", extra)
	o.job.t.Error(strings.TrimRight(b.String(), "\n"))
}

// difference compares two lists as bags.
func difference[T any](got, want []T) (missing, extra []T) {
	used := make([]bool, len(got))
	for _, w := range want {
		i := 0
		for i < len(got) && (used[i] || !reflect.DeepEqual(got[i], w)) {
			i++
		}
		if i == len(got) {
			missing = append(missing, w)
			continue
		}
		used[i] = true
	}
	for i, g := range got {
		if !used[i] {
			extra = append(extra, g)
		}
	}
	return missing, extra
}

// listed is how many records of each kind a message shows: enough to see what is wrong.
const listed = 20

func list[T any](b *strings.Builder, title string, records []T) {
	for i, r := range records {
		if i == listed {
			fmt.Fprintf(b, "\t%s: and %d more\n", title, len(records)-listed)
			return
		}
		fmt.Fprintf(b, "\t%s: %+v\n", title, r)
	}
}
