package s3

// SetPartBytes makes small objects go in parts.
func (b *Bucket) SetPartBytes(n int64) { b.partBytes = n }
