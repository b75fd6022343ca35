package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cairnstream/cairn/wire"
)

// artifact is a job's executable, open and known by its hash.
type artifact struct {
	file *os.File
	sum  string // SHA-256, hexadecimal
	size int64
}

func openArtifact(path string) (*artifact, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	size, err := io.Copy(h, file)
	if err != nil {
		file.Close()
		return nil, err
	}
	return &artifact{file: file, sum: hex.EncodeToString(h.Sum(nil)), size: size}, nil
}

func (a *artifact) close() { a.file.Close() }

// uploadLimit bounds one upload. It is long because only the network decides;
// that the other side is there at all is watched by keep-alives.
const uploadLimit = time.Hour

// upload stores the artifact in the cluster through any controller, and starts
// anew at another one if that one goes away.
func (a *artifact) upload(ctx context.Context, c *Client, progress func(string)) error {
	return c.DoSlow(ctx, uploadLimit, "upload "+a.file.Name(), func(ctx context.Context, cc wire.ControlClient) error {
		if _, err := a.file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		return a.send(ctx, cc, progress)
	})
}

// chunkBytes is the size of an upload's messages: large enough to be few,
// small enough to stay far below gRPC's limit of 4 MiB.
const chunkBytes = 1 << 20

func (a *artifact) send(ctx context.Context, cc wire.ControlClient, progress func(string)) error {
	stream, err := cc.PutArtifact(ctx)
	if err != nil {
		return err
	}
	buf := make([]byte, chunkBytes)
	for sent := int64(0); sent < a.size; {
		progress(fmt.Sprintf("uploading %s of %s", bytesText(sent), bytesText(a.size)))
		n, err := io.ReadFull(a.file, buf)
		if n == 0 {
			return fmt.Errorf("%s changed while it was read: %w", a.file.Name(), errors.Join(err, io.ErrUnexpectedEOF))
		}
		if err := stream.Send(&wire.ArtifactChunk{Sha256: a.sum, Size: a.size, Data: buf[:n]}); err != nil {
			break // the reason is what CloseAndRecv returns
		}
		sent += int64(n)
	}
	_, err = stream.CloseAndRecv()
	return err
}
