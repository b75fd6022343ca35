package task

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/savepoint"
	"github.com/cairnstream/cairn/wire"
)

// writeSavepoint writes a canonical savepoint, beside the loop. Whatever becomes of it
// is one message to the agent, which ends this process then.
func (p *process) writeSavepoint(ctx context.Context, o *wire.WriteSavepoint) {
	p.finishing.Go(func() error {
		out := &wire.SavepointWritten{Job: o.Job, Savepoint: o.Savepoint, Folder: o.Folder}
		written, err := p.saveTo(ctx, o)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			p.log.Error("savepoint not written", "savepoint", o.Savepoint, "folder", o.Folder, "error", err)
			out.Error = err.Error()
		}
		out.Bytes, out.Rows = written.Bytes, written.Rows
		out.MetadataKey, out.MetadataSize, out.MetadataSha256 = written.Metadata.Key, written.Metadata.Size, written.Metadata.SHA256
		p.send(&wire.TaskMessage{Body: &wire.TaskMessage_SavepointWritten{SavepointWritten: out}})
		return nil
	})
}

// saveTo writes the folder, in the cluster's bucket or in the one that the order names.
func (p *process) saveTo(ctx context.Context, o *wire.WriteSavepoint) (w savepoint.Written, err error) {
	object := catalog.Object{Key: o.MetadataKey, Size: o.MetadataSize, SHA256: o.MetadataSha256}
	meta, err := p.store.Read(ctx, object)
	if err != nil {
		return w, fmt.Errorf("read checkpoint %d: %w", o.Savepoint, err)
	}
	var to objectstore.Bucket = p.bucket
	if o.Store != "" {
		if to, err = p.openConnector(ctx, o.Store); err != nil {
			return w, fmt.Errorf("open %s: %w", o.Store, err)
		}
		defer func() { err = errors.Join(err, to.Close()) }()
	}
	return savepoint.Write(ctx, savepoint.WriteConfig{Bucket: p.bucket, Metadata: meta, To: to, Folder: o.Folder})
}
