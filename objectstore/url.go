package objectstore

import (
	"net/url"
	"path"
	"strings"
)

// JoinURL is the URL of the object or folder at key in the bucket at bucketURL: what
// a person copies, and what the bucket's scheme and parameters can be read from
// again. A key that ends in '/' names a folder and keeps its slash.
func JoinURL(bucketURL, key string) string {
	u, err := url.Parse(bucketURL)
	if err != nil {
		return strings.TrimSuffix(bucketURL, "/") + "/" + key // no bucket has such a URL
	}
	u.Path = path.Join("/", u.Path, key)
	if strings.HasSuffix(key, "/") {
		u.Path += "/"
	}
	return u.String()
}
