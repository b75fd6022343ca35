// Package savepoint reads canonical savepoints by another Parquet library than the one
// that writes them, Apache Arrow's, and knows of them only what
// docs/formats/savepoint.md says.
package savepoint
