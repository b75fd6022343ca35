package procs

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports below the range that systems take for outgoing connections (32768 on
// Linux, 49152 elsewhere), so that nobody else's connection sits on a port that
// a killed controller needs again.
const (
	portLo = 20000
	portHi = 32000
)

// FreePorts returns n loopback ports such that each and the one after it are
// free: a controller serves its API on the first and Raft on the second.
func FreePorts(n int) ([]int, error) {
	var ports []int
	taken := map[int]bool{}
	for range 1000 {
		if len(ports) == n {
			return ports, nil
		}
		p := portLo + 2*rand.IntN((portHi-portLo)/2)
		if !taken[p] && IsFree(p) && IsFree(p+1) {
			taken[p] = true
			ports = append(ports, p)
		}
	}
	return nil, fmt.Errorf("find %d free loopback ports between %d and %d: found %d", n, portLo, portHi, len(ports))
}

// IsFree tells whether a loopback port can be listened on now.
func IsFree(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	l.Close()
	return true
}
