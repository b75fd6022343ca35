package admin

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state/inspect"
)

// state is the commands that look inside a job's state, as a checkpoint has it.
func (t *tree) state() *cobra.Command {
	return group("state", "Look inside a job's state, as a checkpoint in the object store has it",
		t.stateListCommand(), t.stateGetCommand(), t.stateScanCommand())
}

// lookFlags are what the commands share that look into one checkpoint.
type lookFlags struct {
	checkpoint uint64
	state      string
	raw        bool
}

func (f *lookFlags) add(t *tree, cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Uint64Var(&f.checkpoint, "checkpoint", 0, "look into this checkpoint (default: the newest completed one)")
	cmd.ValidArgsFunction = t.completeJob
	return cmd
}

// addState adds the flags for looking at entries.
func (f *lookFlags) addState(t *tree, cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&f.state, "state", "", "only the state of this name")
	cmd.Flags().BoolVar(&f.raw, "raw", false, "show bytes as they are stored; a KEY is then 0x and hex digits")
	return f.add(t, cmd)
}

// look is one operator of one checkpoint, open for reading.
type look struct {
	*stored
	meta     *checkpointstore.Metadata
	operator *inspect.Operator
	printer  *inspect.Printer
	reader   *inspect.Reader
	progress *progress
}

// look finds an operator. One that has no such state is an error that says what there is.
func (t *tree) look(ctx context.Context, s *stored, uid string, f lookFlags) (*look, error) {
	meta, err := s.open(ctx, f.checkpoint)
	if err != nil {
		return nil, err
	}
	l := &look{stored: s, meta: meta, progress: newProgress(t.stderr)}
	operators := inspect.Operators(meta.Processes)
	if l.operator = inspect.Find(operators, dataflow.UID(uid)); l.operator == nil {
		return nil, status.Errorf(codes.NotFound, "checkpoint %d of job %s has no operator %q; operators with state: %s",
			meta.Checkpoint, s.job, uid, nameList(withState(operators)))
	}
	if names := stateNames(l.operator); f.state != "" && !slices.Contains(names, f.state) {
		return nil, status.Errorf(codes.NotFound, "operator %s has no state %q in checkpoint %d; it has: %s", uid, f.state, meta.Checkpoint, nameList(names))
	}
	if l.printer, err = inspect.NewPrinter(l.operator); err != nil {
		return nil, err
	}
	l.printer.Raw = f.raw
	l.reader = &inspect.Reader{Bucket: s.bucket, State: f.state, Progress: l.progress.bytes("reading")}
	return l, nil
}

func withState(operators []*inspect.Operator) []dataflow.UID {
	var uids []dataflow.UID
	for _, o := range operators {
		if len(o.Handles) > 0 || len(o.Items) > 0 {
			uids = append(uids, o.UID)
		}
	}
	return uids
}

// stateNames are the names of keyed states, then of operator state.
func stateNames(o *inspect.Operator) []string {
	var names []string
	for _, s := range o.States {
		names = append(names, s.Name)
	}
	for _, i := range o.Items {
		names = append(names, i.Name)
	}
	return names
}

// head begins the JSON of an answer about a checkpoint.
func (l *look) head() object {
	return object{{"job", l.job}, {"checkpoint", l.meta.Checkpoint}, {"operator", l.operator.UID}}
}

// lastUse tells whether a state has a TTL, so that its entries have a time.
func (l *look) lastUse() bool {
	return slices.ContainsFunc(l.operator.States, func(s snapshot.State) bool { return s.TTL > 0 })
}

// ttlText is how long entries live.
func ttlText(ttl time.Duration) string {
	if ttl == 0 {
		return "-"
	}
	return ttl.String()
}
