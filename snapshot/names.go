package snapshot

import (
	"strconv"
	"strings"
)

// ObjectNumber is the writer's prefix and the number of the object with this key,
// which is Prefix + %012d + ".0"; false if it is no such key. Other keys, such as
// those of metadata objects, are none, and a number is never 0.
func ObjectNumber(key string) (prefix string, number uint64, ok bool) {
	i := strings.LastIndexByte(key, '/') + 1
	digits, try, found := strings.Cut(key[i:], ".")
	if !found || try != "0" || len(digits) < 12 {
		return "", 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n == 0 {
		return "", 0, false
	}
	return key[:i], n, true
}
