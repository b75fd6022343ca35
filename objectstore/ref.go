package objectstore

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC32C is the checksum that a Ref carries: CRC-32 with Castagnoli's
// polynomial, which S3 knows too and processors compute in hardware.
func CRC32C(data []byte) uint32 { return crc32.Checksum(data, castagnoli) }

// ReadRef returns exactly the bytes that ref names. What is there but does not
// match ref, or is too short for it, is ErrCorrupt; what is not there is
// ErrNotFound. Nothing of a corrupt range is returned.
func ReadRef(ctx context.Context, b Bucket, ref Ref) ([]byte, error) {
	if ref.Length < 0 {
		return nil, fmt.Errorf("read %s: %w: reference of %d bytes", ref.Key, ErrCorrupt, ref.Length)
	}
	data, err := b.Get(ctx, ref.Key, ref.Offset, ref.Length)
	if errors.Is(err, ErrRange) {
		return nil, fmt.Errorf("read %s at %d: %w: %w", ref.Key, ref.Offset, ErrCorrupt, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s at %d: %w", ref.Key, ref.Offset, err)
	}
	if err := ref.Verify(data); err != nil {
		return nil, err
	}
	return data, nil
}

// Verify returns an ErrCorrupt that names the place if data is not what ref
// was made for.
func (ref Ref) Verify(data []byte) error {
	if int64(len(data)) != ref.Length {
		return fmt.Errorf("read %s at %d: %w: %d bytes, want %d", ref.Key, ref.Offset, ErrCorrupt, len(data), ref.Length)
	}
	if sum := CRC32C(data); sum != ref.CRC32C {
		return fmt.Errorf("read %s at %d: %w: CRC32C %08x of %d bytes, want %08x",
			ref.Key, ref.Offset, ErrCorrupt, sum, ref.Length, ref.CRC32C)
	}
	return nil
}
