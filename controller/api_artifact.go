package controller

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"

	"google.golang.org/grpc"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/wire"
)

// artifactMax bounds a job's executable. Go programs are tens of megabytes.
const artifactMax = 1 << 30

var sha256Form = regexp.MustCompile(`^[0-9a-f]{64}$`)

// checkSHA256 keeps out what can be no artifact's name.
func checkSHA256(sum string) error {
	if !sha256Form.MatchString(sum) {
		return fmt.Errorf("artifact_sha256 %q: want 64 of 0-9 and a-f: %w", sum, errInvalid)
	}
	return nil
}

// PutArtifact stores a job's executable under its SHA-256. Any controller of a
// cluster that has its name takes it; nothing that does not match is kept.
func (s controlService) PutArtifact(stream grpc.ClientStreamingServer[wire.ArtifactChunk, wire.PutArtifactResponse]) error {
	existed, err := s.putArtifact(stream)
	if err != nil {
		return statusOf(err)
	}
	return stream.SendAndClose(&wire.PutArtifactResponse{Existed: existed})
}

func (s controlService) putArtifact(stream grpc.ClientStreamingServer[wire.ArtifactChunk, wire.PutArtifactResponse]) (existed bool, err error) {
	if s.c.cluster() == "" {
		return false, errNoLeader
	}
	if err := s.c.claim(stream.Context()); err != nil {
		return false, err
	}
	file, err := os.CreateTemp(s.c.cfg.DataDir, "artifact-*.part")
	if err != nil {
		return false, fmt.Errorf("receive artifact: %w", err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	first, size, err := receiveArtifact(stream, file)
	if err != nil {
		return false, err
	}
	if size != first.Size {
		return false, fmt.Errorf("artifact %.12s: got %d bytes of the %d announced: %w", first.Sha256, size, first.Size, errInvalid)
	}
	_, existed, err = s.c.store().PutArtifact(stream.Context(), first.Sha256, file)
	if errors.Is(err, objectstore.ErrCorrupt) {
		return false, fmt.Errorf("%w: %w", err, errInvalid)
	}
	return existed, err
}

// receiveArtifact writes the chunks to w. The first one says what is to come.
func receiveArtifact(stream grpc.ClientStreamingServer[wire.ArtifactChunk, wire.PutArtifactResponse], w io.Writer) (first *wire.ArtifactChunk, size int64, err error) {
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) && first != nil {
			return first, size, nil
		}
		if errors.Is(err, io.EOF) {
			return nil, 0, fmt.Errorf("artifact: no chunk came: %w", errInvalid)
		}
		if err != nil {
			return nil, 0, err
		}
		if first == nil {
			if err := checkSHA256(chunk.Sha256); err != nil {
				return nil, 0, err
			}
			first = chunk
		}
		if size += int64(len(chunk.Data)); size > first.Size || size > artifactMax {
			return nil, 0, fmt.Errorf("artifact %.12s: more than the %d bytes announced, or than %d: %w", first.Sha256, first.Size, int64(artifactMax), errInvalid)
		}
		if _, err := w.Write(chunk.Data); err != nil {
			return nil, 0, fmt.Errorf("receive artifact: %w", err)
		}
	}
}
