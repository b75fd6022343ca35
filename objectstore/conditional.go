package objectstore

import "context"

// HasConditionalPut tells whether b's Put with IfAbsent is atomic: of many
// writers of one new name, exactly one wins. Some S3 servers ignore the
// condition; the s3 bucket finds out with a self-test the first time it is
// asked. An error means that it could not be found out.
//
// A Bucket that wraps another one, or whose answer is not always yes, has the
// method ConditionalPut; all others of this tree are atomic.
func HasConditionalPut(ctx context.Context, b Bucket) (bool, error) {
	if c, ok := b.(interface {
		ConditionalPut(ctx context.Context) (bool, error)
	}); ok {
		return c.ConditionalPut(ctx)
	}
	return true, nil
}
