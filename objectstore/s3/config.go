package s3

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/cairnstream/cairn/objectstore"
)

const (
	amazon        = "https://s3.amazonaws.com"
	defaultRegion = "us-east-1"
	// defaultTries with the pauses between them outlast about 3 s, such as a
	// server's restart behind a load balancer. More is the caller's matter.
	defaultTries = 6
)

// Config says which bucket to open and how.
type Config struct {
	Bucket string
	// Prefix, without a "/" at either end, begins all keys. Default: none.
	Prefix string
	// Endpoint is the server, http:// or https:// and host:port. Default:
	// Amazon S3.
	Endpoint string
	// Region is the bucket's. Default: us-east-1, which servers other than
	// Amazon's mostly ignore.
	Region string
	// Lookup chooses between http://host/bucket (path style) and
	// http://bucket.host. Default: the latter for Amazon, the former elsewhere.
	Lookup minio.BucketLookupType
	// Tries is how often an operation is tried in all. Default: 6.
	Tries int
	// Credentials default to the environment (AWS_ACCESS_KEY_ID,
	// AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), then the AWS files
	// (~/.aws/credentials and ~/.aws/config, AWS_PROFILE). They are never
	// printed.
	Credentials *credentials.Credentials
}

// ParseURL reads s3://bucket/prefix?endpoint=…&region=…&path_style=true. What
// the query does not say comes from CAIRN_S3_ENDPOINT, AWS_ENDPOINT_URL_S3 or
// AWS_ENDPOINT_URL, and from AWS_REGION or AWS_DEFAULT_REGION.
func ParseURL(u *url.URL) (Config, error) {
	c := Config{
		Bucket:   u.Host,
		Prefix:   strings.Trim(u.Path, "/"),
		Endpoint: firstEnv("CAIRN_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
		Region:   firstEnv("AWS_REGION", "AWS_DEFAULT_REGION"),
	}
	if u.Scheme != "s3" || c.Bucket == "" {
		return Config{}, fmt.Errorf("%q: want s3://bucket or s3://bucket/prefix", u.Redacted())
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Config{}, fmt.Errorf("query of s3://%s: %w", c.Bucket, err)
	}
	for name, values := range query {
		if err := c.set(name, values[len(values)-1]); err != nil {
			return Config{}, err
		}
	}
	c = c.withDefaults()
	return c, c.validate()
}

// set takes one parameter of the query. The message of an unknown one leaves
// out its value, which may be a secret that does not belong there.
func (c *Config) set(name, value string) error {
	switch name {
	case "endpoint":
		c.Endpoint = value
	case "region":
		c.Region = value
	case "path_style":
		path, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("path_style=%s: want true or false", value)
		}
		c.Lookup = minio.BucketLookupDNS
		if path {
			c.Lookup = minio.BucketLookupPath
		}
	default:
		return fmt.Errorf("parameter %q: want endpoint, region or path_style; credentials come from the environment or the AWS files", name)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Endpoint == "" {
		c.Endpoint = amazon
	}
	if c.Region == "" {
		c.Region = defaultRegion
	}
	if c.Tries == 0 {
		c.Tries = defaultTries
	}
	if c.Credentials == nil {
		c.Credentials = credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{},
		})
	}
	return c
}

// validate reports every problem at once.
func (c Config) validate() error {
	var errs []error
	if c.Bucket == "" {
		errs = append(errs, errors.New("bucket is missing"))
	}
	if c.Prefix != "" {
		errs = append(errs, objectstore.CheckKey(c.Prefix))
	}
	if e, err := url.Parse(c.Endpoint); err != nil || e.Host == "" || e.User != nil ||
		e.Scheme != "http" && e.Scheme != "https" || strings.Trim(e.Path, "/") != "" || e.RawQuery != "" {
		errs = append(errs, errors.New("endpoint: want http:// or https:// and host:port, and no more"))
	}
	if c.Tries < 1 {
		errs = append(errs, fmt.Errorf("tries %d: want at least 1", c.Tries))
	}
	return errors.Join(errs...)
}

// url is how the bucket can be opened again by a process that has the
// credentials; where and how are in it, they are not.
func (c Config) url() string {
	u := url.URL{Scheme: "s3", Host: c.Bucket, Path: c.Prefix}
	q := url.Values{}
	if c.Endpoint != amazon {
		q.Set("endpoint", c.Endpoint)
	}
	if c.Region != defaultRegion {
		q.Set("region", c.Region)
	}
	if c.Lookup != minio.BucketLookupAuto {
		q.Set("path_style", strconv.FormatBool(c.Lookup == minio.BucketLookupPath))
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func firstEnv(names ...string) string {
	for _, name := range names {
		if value := os.Getenv(name); value != "" {
			return value
		}
	}
	return ""
}
