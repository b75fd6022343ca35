package admin

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/wire"
)

func (t *tree) cluster() *cobra.Command {
	return group("cluster", "Look at the cluster as a whole", &cobra.Command{
		Use:   "status",
		Short: "Show the controllers, who leads, the workers' slots and the running jobs",
		Args:  Args(cobra.NoArgs),
		RunE:  t.run(t.clusterStatus),
	})
}

func (t *tree) clusterStatus(ctx context.Context, c *Client, _ []string) error {
	r, err := call(ctx, c, "cluster status", wire.ControlClient.ClusterStatus, &wire.ClusterStatusRequest{})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(view(r))
	}
	fmt.Fprintf(t.stdout, "cluster       %s\nobject store  %s\nleader        %s, term %d\nworkers       %d connected, %d of %d slots free\njobs          %d running\n\n",
		r.Cluster, r.ObjectStore, dash(r.Leader), r.Term, r.Workers, r.SlotsFree, r.Slots, r.JobsRunning)
	var rows [][]string
	for _, m := range r.Controllers {
		role, up, applied := "follower", "no answer", "-"
		if m.Leader {
			role = "leader"
		}
		if m.Reachable || m.Leader {
			up, applied = "up", fmt.Sprint(m.Applied)
		}
		rows = append(rows, []string{m.Id, role, up, applied, m.ApiAddress, m.RaftAddress, dash(m.Version)})
	}
	return table(t.stdout, "CONTROLLER ROLE STATE >APPLIED API RAFT VERSION", rows)
}

func (t *tree) worker() *cobra.Command {
	return group("worker", "Look at the workers", &cobra.Command{
		Use:   "list",
		Short: "List the workers with their slots and jobs",
		Args:  Args(cobra.NoArgs),
		RunE:  t.run(t.workerList),
	})
}

func (t *tree) workerList(ctx context.Context, c *Client, _ []string) error {
	r, err := call(ctx, c, "worker list", wire.ControlClient.ListWorkers, &wire.ListWorkersRequest{})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(view(r))
	}
	var rows [][]string
	for _, w := range r.Workers {
		free := "-" // a worker that is away has none
		if w.State == "connected" {
			free = fmt.Sprint(w.SlotsFree)
		}
		rows = append(rows, []string{w.Id, w.State, fmt.Sprint(w.Slots), free, w.Platform, w.Host, agoText(w.SinceUnixMs), dash(strings.Join(w.Jobs, ",")), w.Incarnation, dash(w.Version)})
	}
	return table(t.stdout, "WORKER STATE >SLOTS >FREE PLATFORM HOST REGISTERED JOBS INCARNATION VERSION", rows)
}
