package worker

import (
	"context"
	"errors"
	"os"
)

// Run is the agent: it serves until ctx ends, whatever becomes of the
// controllers, and ends all job processes before it returns. Errors that only a
// person can mend end it: a bad configuration, a data directory that is in use
// (ErrDataDirInUse) or belongs to another cluster (ErrForeignCluster).
func Run(ctx context.Context, cfg Config) (err error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return err
	}
	dir, err := openDataDir(cfg.DataDir, cfg.ID)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	sockets, err := makeSockets(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(sockets)) }()
	m := newMachine(cfg, dir, sockets)
	defer func() { err = errors.Join(err, m.artifacts.Close()) }()
	return m.run(ctx)
}
