package admin

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// sizeUnits are what a size may end in. As everybody expects, Ki is 1,024 and k is
// 1,000; a size without a unit is in bytes.
var sizeUnits = map[string]int64{
	"": 1, "b": 1,
	"k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9, "gb": 1e9, "t": 1e12, "tb": 1e12,
	"ki": 1 << 10, "kib": 1 << 10, "mi": 1 << 20, "mib": 1 << 20, "gi": 1 << 30, "gib": 1 << 30, "ti": 1 << 40, "tib": 1 << 40,
}

// sizeFlag is a flag's number of bytes, such as 256MiB or 1.5GB.
type sizeFlag struct{ bytes *int64 }

var _ pflag.Value = sizeFlag{}

// Set implements pflag.Value.
func (f sizeFlag) Set(text string) error {
	n, err := parseSize(text)
	if err != nil {
		return err
	}
	*f.bytes = n
	return nil
}

// String implements pflag.Value. What is not set prints as nothing.
func (f sizeFlag) String() string {
	if f.bytes == nil || *f.bytes == 0 {
		return ""
	}
	return bytesText(*f.bytes)
}

// Type implements pflag.Value: what the help shows.
func (sizeFlag) Type() string { return "size" }

func parseSize(text string) (int64, error) {
	s := strings.TrimSpace(text)
	i := strings.LastIndexAny(s, "0123456789.") + 1
	unit, known := sizeUnits[strings.ToLower(strings.TrimSpace(s[i:]))]
	number, err := strconv.ParseFloat(s[:i], 64)
	if !known || err != nil || number < 0 || number*float64(unit) > 1<<60 {
		return 0, fmt.Errorf("%q is no size: use a number with a unit, such as 256MiB or 4GB", text)
	}
	return int64(number * float64(unit)), nil
}
