package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/cairnstream/cairn/objectstore"
)

const (
	// partBytes is the size from which an object goes in parts. A part is what
	// one retry repeats, and S3 allows 10,000 of them.
	partBytes = 64 << 20
	// objectBytesMax is what S3 copies in one request; larger objects could not
	// be copied, so they are not stored.
	objectBytesMax = 5 << 30
	// abortTimeout bounds the clean-up after a failed upload in parts, which
	// runs also when the caller has gone.
	abortTimeout = 10 * time.Second

	checksumHeader = "X-Amz-Checksum-Crc32c"
	contentType    = "application/octet-stream"
)

// Put implements objectstore.Bucket.
func (b *Bucket) Put(ctx context.Context, key string, data []byte, opts objectstore.PutOptions) error {
	whole, err := b.key(key)
	if err != nil {
		return err
	}
	if opts.IfAbsent {
		err = b.putIfAbsent(ctx, whole, data)
	} else {
		err = b.putBytes(ctx, whole, data, false)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}

func (b *Bucket) putBytes(ctx context.Context, whole string, data []byte, condition bool) error {
	size := int64(len(data))
	return b.retry(ctx, transferTimeout(size), func(ctx context.Context) error {
		options := putOptions(objectstore.CRC32C(data))
		if condition {
			options.SetMatchETagExcept("*")
		}
		_, err := b.core.PutObject(ctx, b.config.Bucket, whole, bytes.NewReader(data), size, "", "", options)
		return err
	})
}

// putIfAbsent puts under the condition where the server honours it, and looks
// first where it does not.
func (b *Bucket) putIfAbsent(ctx context.Context, whole string, data []byte) error {
	conditional, err := b.ConditionalPut(ctx)
	if err != nil {
		return err
	}
	if !conditional {
		err := b.compare(ctx, whole, data)
		if !errors.Is(err, objectstore.ErrNotFound) {
			return err
		}
		return b.putBytes(ctx, whole, data, false)
	}
	err = b.putBytes(ctx, whole, data, true)
	if refused(err) {
		return b.compare(ctx, whole, data)
	}
	return err
}

// compare returns nil if the object has exactly these bytes, else ErrExists.
func (b *Bucket) compare(ctx context.Context, whole string, data []byte) error {
	found, err := b.get(ctx, whole, 0, -1, nil)
	if err != nil {
		return fmt.Errorf("compare with what is there: %w", err)
	}
	if !bytes.Equal(found, data) {
		return objectstore.ErrExists
	}
	return nil
}

// refused tells whether the server says that the condition does not hold.
func refused(err error) bool {
	return err != nil && response(err).StatusCode == http.StatusPreconditionFailed
}

// PutFile implements objectstore.Bucket, for up to 5 GiB.
func (b *Bucket) PutFile(ctx context.Context, key string, r io.ReadSeeker, size int64) error {
	whole, err := b.key(key)
	if err != nil {
		return err
	}
	switch {
	case size < 0 || size > objectBytesMax:
		err = fmt.Errorf("%d bytes: want 0 to %d, which S3 copies in one request", size, int64(objectBytesMax))
	case size <= b.partBytes:
		err = b.putPiece(ctx, piece{r: r, size: size}, func(ctx context.Context, r io.Reader, sum uint32) error {
			_, err := b.core.PutObject(ctx, b.config.Bucket, whole, r, size, "", "", putOptions(sum))
			return err
		})
	default:
		err = b.putParts(ctx, whole, r, size)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}

// piece is a range of a caller's file that one request sends.
type piece struct {
	r            io.ReadSeeker
	offset, size int64
}

// putPiece reads p once for its checksum and once for each try of send.
func (b *Bucket) putPiece(ctx context.Context, p piece, send func(context.Context, io.Reader, uint32) error) error {
	sum, err := p.checksum()
	if err != nil {
		return err
	}
	return b.retry(ctx, transferTimeout(p.size), func(ctx context.Context) error {
		if _, err := p.r.Seek(p.offset, io.SeekStart); err != nil {
			return errPermanent{err}
		}
		return send(ctx, io.LimitReader(p.r, p.size), sum)
	})
}

func (p piece) checksum() (uint32, error) {
	if _, err := p.r.Seek(p.offset, io.SeekStart); err != nil {
		return 0, err
	}
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	n, err := io.Copy(h, io.LimitReader(p.r, p.size))
	if err == nil && n != p.size {
		err = fmt.Errorf("read %d bytes from %d, want %d: %w", n, p.offset, p.size, io.ErrUnexpectedEOF)
	}
	return h.Sum32(), err
}

// putParts uploads in parts. The object appears with the last request or not
// at all; the parts of a failed upload are dropped.
func (b *Bucket) putParts(ctx context.Context, whole string, r io.ReadSeeker, size int64) (err error) {
	var id string
	begin := minio.PutObjectOptions{ContentType: contentType, UserMetadata: map[string]string{"X-Amz-Checksum-Algorithm": "CRC32C"}}
	err = b.retry(ctx, listTimeout, func(ctx context.Context) (err error) {
		id, err = b.core.NewMultipartUpload(ctx, b.config.Bucket, whole, begin)
		return err
	})
	if err != nil {
		return fmt.Errorf("begin parts: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.abort(ctx, whole, id))
		}
	}()
	var parts []minio.CompletePart
	for offset := int64(0); offset < size; offset += b.partBytes {
		part, err := b.putPart(ctx, whole, id, len(parts)+1, piece{r: r, offset: offset, size: min(b.partBytes, size-offset)})
		if err != nil {
			return fmt.Errorf("part %d: %w", len(parts)+1, err)
		}
		parts = append(parts, part)
	}
	return b.complete(ctx, whole, id, parts, size)
}

func (b *Bucket) putPart(ctx context.Context, whole, id string, n int, p piece) (part minio.CompletePart, err error) {
	err = b.putPiece(ctx, p, func(ctx context.Context, r io.Reader, sum uint32) error {
		options := minio.PutObjectPartOptions{DisableContentSha256: true, CustomHeader: http.Header{checksumHeader: {checksum(sum)}}}
		o, err := b.core.PutObjectPart(ctx, b.config.Bucket, whole, id, n, r, p.size, options)
		part = minio.CompletePart{PartNumber: n, ETag: o.ETag, ChecksumCRC32C: checksum(sum)}
		return err
	})
	return part, err
}

// complete makes the object of its parts. If the upload is gone, an earlier try
// of ours whose reply was lost has done it: only we know its id.
func (b *Bucket) complete(ctx context.Context, whole, id string, parts []minio.CompletePart, size int64) error {
	err := b.retry(ctx, transferTimeout(0), func(ctx context.Context) error {
		_, err := b.core.CompleteMultipartUpload(ctx, b.config.Bucket, whole, id, parts, minio.PutObjectOptions{})
		return err
	})
	if err == nil || response(err).Code != "NoSuchUpload" {
		return err
	}
	info, statErr := b.stat(ctx, whole)
	if statErr != nil || info.Size != size {
		return errors.Join(err, statErr)
	}
	return nil
}

// abort drops the parts of a failed upload, also when ctx has ended.
func (b *Bucket) abort(ctx context.Context, whole, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	err := b.core.AbortMultipartUpload(ctx, b.config.Bucket, whole, id)
	if err != nil && response(err).Code != "NoSuchUpload" {
		return fmt.Errorf("drop parts of %s: %w", whole, err)
	}
	return nil
}

// putOptions sends the checksum of the body as a plain header.
func putOptions(sum uint32) minio.PutObjectOptions {
	return minio.PutObjectOptions{
		ContentType:          contentType,
		DisableContentSha256: true,
		UserMetadata:         map[string]string{checksumHeader: checksum(sum)},
	}
}

// checksum is S3's form of a CRC32C.
func checksum(sum uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}
