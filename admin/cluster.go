package admin

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/wire"
)

func (t *tree) cluster() *cobra.Command {
	return group("cluster", "Look at the cluster as a whole", &cobra.Command{
		Use:   "status",
		Short: "Show the controllers, who leads, the workers' slots and the running jobs",
		Args:  args(cobra.NoArgs),
		RunE:  t.run(t.clusterStatus),
	})
}

func (t *tree) clusterStatus(ctx context.Context, c *Client, _ []string) error {
	var r *wire.ClusterStatusResponse
	err := c.Do(ctx, "cluster status", func(ctx context.Context, cc wire.ControlClient) (err error) {
		r, err = cc.ClusterStatus(ctx, &wire.ClusterStatusRequest{})
		return err
	})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(r)
	}
	fmt.Fprintf(t.stdout, "cluster %s  leader %s  term %d  applied %d\nobject store %s\nworkers %d  slots %d, %d free  jobs running %d\n\n",
		r.Cluster, dash(r.Leader), r.Term, r.Applied, r.ObjectStore, r.Workers, r.Slots, r.SlotsFree, r.JobsRunning)
	var rows [][]string
	for _, m := range r.Controllers {
		role, up := "follower", "no answer"
		if m.Leader {
			role = "leader"
		}
		if m.Reachable || m.Leader {
			up = "up"
		}
		rows = append(rows, []string{m.Id, role, up, m.ApiAddress, m.RaftAddress, dash(m.Version)})
	}
	return table(t.stdout, "CONTROLLER ROLE STATE API RAFT VERSION", rows)
}

func (t *tree) worker() *cobra.Command {
	return group("worker", "Look at the workers", &cobra.Command{
		Use:   "list",
		Short: "List the workers with their slots and jobs",
		Args:  args(cobra.NoArgs),
		RunE:  t.run(t.workerList),
	})
}

func (t *tree) workerList(ctx context.Context, c *Client, _ []string) error {
	var r *wire.ListWorkersResponse
	err := c.Do(ctx, "worker list", func(ctx context.Context, cc wire.ControlClient) (err error) {
		r, err = cc.ListWorkers(ctx, &wire.ListWorkersRequest{})
		return err
	})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(r)
	}
	var rows [][]string
	for _, w := range r.Workers {
		jobs := "-"
		if len(w.Jobs) > 0 {
			jobs = fmt.Sprint(w.Jobs)
		}
		rows = append(rows, []string{w.Id, w.State, fmt.Sprintf("%d/%d", w.Slots-w.SlotsFree, w.Slots), w.Platform, w.Host, agoText(w.SinceUnixMs), jobs, w.Incarnation})
	}
	return table(t.stdout, "WORKER STATE SLOTS-USED PLATFORM HOST SINCE JOBS INCARNATION", rows)
}
