// Package gate is the local side of a running agent: the unix socket through which those who may ask it and have it act, and how
// a program on the same machine finds it.
//
// Who may is what the file says, and the kernel enforces: the socket's mode is 0660 from its first moment. Whoever takes a TCP
// port first answers on it; so the socket is asked first, and what answers over TCP is believed only when its user is root, ours
// or the agent's.
package gate

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	name       = "linkbeat.sock"
	lockSuffix = ".lock"
	system     = "/run/linkbeat" // the same folder as that of RuntimeDirectory=linkbeat
	longest    = 107             // bytes of a path in sun_path, which ends with a zero (unix(7))
)

// Folders are where an agent may have its socket, in the order in which it tries them: what the service manager gave it
// ($RUNTIME_DIRECTORY, of which the first counts), else /run/linkbeat; and where that cannot be used, its state directory.
func Folders(runtime, stateDir string) []string {
	first, _, _ := strings.Cut(runtime, ":")
	if first == "" {
		first = system
	}
	return []string{filepath.Clean(first), filepath.Clean(stateDir)}
}

// Sockets are where the socket of an agent may be, seen from another program: that one may have another $RUNTIME_DIRECTORY, or
// none.
func Sockets(runtime, stateDir string) (all []string) {
	folders := Folders(runtime, stateDir)
	if folders[0] != system {
		folders = []string{folders[0], system, folders[1]}
	}
	for _, folder := range folders {
		all = append(all, filepath.Join(folder, name))
	}
	return all
}

const (
	mostSeats   = 64
	fewestSeats = 4
	seatsShare  = 8 // of the descriptors that the process may have; TCP and the socket have one each
)

// Seats is how many connections a listener may hold at once: 64, and where the process may open few descriptors an eighth of
// them, so that those of the link and of the devices are never a stranger's.
func Seats() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return mostSeats
	}
	return seatsOf(uint64(limit.Cur))
}

func seatsOf(descriptors uint64) int {
	return max(fewestSeats, int(min(mostSeats, descriptors/seatsShare)))
}
