package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/wire"
)

func (t *tree) jobPlanCommand() *cobra.Command {
	var f submitFlags
	var from string
	var allow bool
	cmd := &cobra.Command{
		Use:   "plan PACKAGE|EXECUTABLE [-- ARGUMENT...]",
		Short: "Tell what a submit would restore, start afresh or lose, without running anything",
		Long: "Tell what a submit would do, without running anything: for each operator and each of its states, whether it is\n" +
			"restored, begins empty, would be lost or does not fit, and why. The operators are opened on an empty store on a\n" +
			"worker; sources and sinks are not. If a submit would be refused, so is the plan, in the same words, with exit code 1.",
		Example: "  cairn job plan ./flights --from flights-k3x9qa -- --out file:///tmp/out\n" +
			"  cairn job plan ./flights --from flights-k3x9qa/41 --allow-non-restored-state -o json",
		Args: Args(oneProgram),
		RunE: t.run(func(ctx context.Context, c *Client, given []string) error {
			req := &wire.SubmitJobRequest{}
			if from != "" {
				o, err := parseOrigin(from)
				if err != nil {
					return err
				}
				o.AllowNonRestoredState = allow
				req.Origin = o
			}
			return t.jobPlan(ctx, c, f, req, given[0], given[1:])
		}),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&from, "from", "", "what the job would start from: JOB, JOB/CHECKPOINT or a URL (default: the beginning)")
	cmd.Flags().BoolVar(&allow, "allow-non-restored-state", false, "let go of state that the program has no place for")
	return cmd
}

// oneProgram takes one package or executable, and the job's own arguments after --.
func oneProgram(cmd *cobra.Command, given []string) error {
	if n := cmd.ArgsLenAtDash(); n == 1 || n < 0 && len(given) == 1 {
		return nil
	}
	return errors.New("name one package or executable; the job's own arguments come after --")
}

func (t *tree) jobPlan(ctx context.Context, c *Client, f submitFlags, req *wire.SubmitJobRequest, what string, jobArgs []string) error {
	if f.name == "" {
		f.name = nameOf(what)
	}
	if err := f.check(); err != nil {
		return err
	}
	req.Name, req.Args, req.Parallelism = f.name, jobArgs, f.parallelism
	var r *wire.PlanJobResponse
	err := t.sendProgram(ctx, c, f, what, func(p *program, artifact *artifact, options []byte, progress *progress) (err error) {
		req.ArtifactSha256, req.Options, req.Platform = artifact.sum, options, p.platform
		progress.say("planning job " + req.Name)
		r, err = withArtifact(ctx, c, "plan job "+req.Name, wire.ControlClient.PlanJob, req, artifact, progress)
		return err
	})
	if err != nil {
		return err
	}
	return t.tellPlan(req.Name, r)
}

// tellPlan prints a plan. One that would be refused is an error.
func (t *tree) tellPlan(name string, r *wire.PlanJobResponse) error {
	var err error
	switch {
	case t.output == "json":
		var match any
		if len(r.Match) > 0 {
			match = json.RawMessage(r.Match)
		}
		err = t.printJSON(object{{"restorable", r.Refusal == ""}, {"refusal", r.Refusal}, {"match", match}})
	case len(r.Match) > 0:
		err = printMatch(t.stdout, r.Match)
	case r.Refusal == "":
		_, err = fmt.Fprintf(t.stdout, "job %s would start from the beginning\n", name)
	}
	if err == nil && r.Refusal != "" {
		err = fmt.Errorf("plan job %s: a submit would be refused: %s", name, r.Refusal)
	}
	return err
}

// sendProgram finds or builds a program and gives it to send.
func (t *tree) sendProgram(ctx context.Context, c *Client, f submitFlags, what string,
	send func(*program, *artifact, []byte, *progress) error) error {
	progress := newProgress(t.stderr)
	defer progress.end()
	program, err := t.program(ctx, c, what, f.platform, progress)
	if err != nil {
		return err
	}
	defer program.remove()
	artifact, err := openArtifact(program.path)
	if err != nil {
		return err
	}
	defer artifact.close()
	options, err := json.Marshal(f.options)
	if err != nil {
		return fmt.Errorf("options: %w", err)
	}
	return send(program, artifact, options, progress)
}

// withArtifact makes a call that needs the artifact in the cluster, and sends it there only if
// the cluster says, with FAILED_PRECONDITION, that something is missing.
func withArtifact[Req, Res any](ctx context.Context, c *Client, what string,
	rpc func(wire.ControlClient, context.Context, *Req, ...grpc.CallOption) (*Res, error), req *Req, artifact *artifact, progress *progress) (*Res, error) {
	r, err := slowCall(ctx, c, planLimit, what, rpc, req)
	if status.Code(err) != codes.FailedPrecondition {
		return r, err
	}
	if err := artifact.upload(ctx, c, progress.say); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return slowCall(ctx, c, planLimit, what, rpc, req)
}
