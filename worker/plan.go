package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/internal/lifeline"
	"github.com/cairnstream/cairn/wire"
)

const (
	// planTimeout bounds the run of a program that only builds its graph.
	planTimeout = 30 * time.Second
	// planBytesMax bounds a graph: it is committed through Raft.
	planBytesMax = 4 << 20
	// planErrorBytes bounds what a failing program may say.
	planErrorBytes = 16 << 10
	// logBytesMax bounds one answer to a Logs order.
	logBytesMax = 2 * logFileBytes
	// answersMax bounds the Plan and Logs orders under way; more are refused.
	answersMax = 8
)

// answer has an order that is a question answered beside everything else.
func (a *agent) answer(ctx context.Context, work func(context.Context) *wire.AgentMessage, request string) {
	select {
	case a.answering <- struct{}{}:
	default:
		a.log.Warn("question refused, too many are under way", "request", request)
		a.reports.send(planAnswer(request, nil, nil, fmt.Errorf("%w: worker %s answers %d questions already, retry", errBusy, a.cfg.ID, answersMax)))
		return
	}
	a.working.Go(func() {
		defer func() { <-a.answering }()
		a.reports.send(work(ctx))
	})
}

// plan runs a job's program, which prints its graph.
func (a *agent) plan(ctx context.Context, p *wire.Plan) *wire.AgentMessage {
	graph, match, err := a.runPlan(ctx, p)
	return planAnswer(p.Request, graph, match, err)
}

func planAnswer(request string, graph, match []byte, err error) *wire.AgentMessage {
	r := &wire.PlanResult{Request: request, Graph: graph, Match: match}
	if err != nil {
		r.Error = err.Error()
	}
	return &wire.AgentMessage{Body: &wire.AgentMessage_PlanResult{PlanResult: r}}
}

func (a *agent) runPlan(ctx context.Context, p *wire.Plan) (graph, match []byte, err error) {
	path, err := a.artifacts.acquire(ctx, p.ArtifactSha256)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, a.artifacts.release(p.ArtifactSha256)) }()
	dir, err := os.MkdirTemp("", "cairn-plan-")
	if err != nil {
		return nil, nil, fmt.Errorf("plan: %w", err)
	}
	defer os.RemoveAll(dir)
	out, matching := filepath.Join(dir, "graph.json"), filepath.Join(dir, "match.json")
	env := []string{envPlan + "=" + out}
	if p.Restore != nil {
		request := filepath.Join(dir, "restore.json")
		if err := a.writeRestorePoint(request, p.Restore); err != nil {
			return nil, nil, fmt.Errorf("plan: %w", err)
		}
		env = append(env, envPlanRestore+"="+request, envPlanMatch+"="+matching)
	}
	said, err := a.runToEnd(ctx, path, program{p.ArtifactSha256, p.Args, p.Parallelism}, dir, env)
	if err != nil {
		return nil, nil, fmt.Errorf("the program did not build its graph: %w%s", err, said)
	}
	if graph, err = readGraph(out); err == nil && p.Restore != nil {
		match, err = readMatch(matching)
	}
	return graph, match, err
}

// runToEnd runs a program that writes its graph where env says, and returns what it
// says to people.
func (a *agent) runToEnd(ctx context.Context, path string, p program, dir string, env []string) (said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, planTimeout)
	defer cancel()
	text := &tailBuffer{max: planErrorBytes}
	cmd := exec.Command(path, p.args...)
	cmd.Dir, cmd.Env = dir, append(p.environment(), env...)
	cmd.Stdout, cmd.Stderr = text, text
	cmd.WaitDelay = outputWait
	if err := a.spawner.Start(cmd); err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() {
		if err := lifeline.KillGroup(cmd.Process.Pid); err != nil {
			a.log.Warn("plan not killed", "error", err)
		}
	})
	err = cmd.Wait()
	stop()
	if ctx.Err() != nil {
		err = fmt.Errorf("it took longer than %v", planTimeout)
	}
	return text.String(), err
}

func readGraph(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, errors.New("the program ended without a graph: a job's program must call stream.Main")
	}
	if info.Size() > planBytesMax {
		return nil, fmt.Errorf("the program's graph has %d bytes, at most %d are allowed", info.Size(), planBytesMax)
	}
	graph, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the program's graph: %w", err)
	}
	if !json.Valid(graph) {
		return nil, errors.New("the program's graph is not JSON")
	}
	return graph, nil
}

// tailBuffer keeps the newest of what is written.
type tailBuffer struct {
	max int
	buf bytes.Buffer
}

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.buf.Write(p)
	if over := t.buf.Len() - t.max; over > 0 {
		t.buf.Next(over)
	}
	return len(p), nil
}

// String is the text on lines of its own, or "".
func (t *tailBuffer) String() string {
	text := strings.TrimSpace(strings.ToValidUTF8(t.buf.String(), "?"))
	if text == "" {
		return ""
	}
	return "\n" + text
}

// logs answers with the newest output of a job's processes here.
func (a *agent) logs(l *wire.Logs) *wire.AgentMessage {
	result := &wire.LogsResult{Request: l.Request}
	if id := dataflow.JobID(l.Job); !safeName(id) {
		result.Error = fmt.Sprintf("%q is not a job's name", l.Job)
	} else if text, err := readLog(a.dir.jobDir(id), min(max(l.MaxBytes, 0), logBytesMax)); err != nil {
		result.Error = err.Error()
	} else {
		result.Text = text
	}
	return &wire.AgentMessage{Body: &wire.AgentMessage_LogsResult{LogsResult: result}}
}
