// Package s3 is an object store in a bucket of Amazon S3, MinIO or another
// server that speaks S3, by minio-go.
//
// Retries are in one layer: minio-go tries once, and this package tries a whole
// operation, request and body, up to Config.Tries times. All of them are safe
// to repeat, because objects are immutable and retries send the same bytes.
//
// A PUT carries the CRC32C of its bytes, which the server checks, in place of
// the SHA-256 of a signed payload, which would cost ten times as much. Objects of
// more than 64 MiB go in parts; a reader sees them when the last step is done.
//
// Put with IfAbsent sends If-None-Match: *. Whether the server honours it is
// tested once, when first needed (ConditionalPut). A 412 may answer our own
// earlier try whose reply was lost, so contents are compared before anybody is
// told ErrExists.
package s3
