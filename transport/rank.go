package transport

import (
	"hash/fnv"
	"slices"
	"sort"
)

// rank sorts the servers in order of preference, and returns their ranks. Servers of equal rank share the gateways: each gateway
// has an order of its own, by a hash of its id and the server's URL (rendezvous hashing), so that a server that is added or taken
// away moves no other gateway than those it must.
func (o *Options) rank() []int {
	servers := slices.Clone(o.Servers)
	for i := range servers {
		if servers[i].Rank == 0 {
			servers[i].Rank = i + 1
		}
	}
	sort.SliceStable(servers, func(i, j int) bool {
		a, b := servers[i], servers[j]
		return a.Rank < b.Rank || a.Rank == b.Rank && weight(o.ClientID, a.URL.Reveal()) > weight(o.ClientID, b.URL.Reveal())
	})
	var ranks []int
	for _, s := range servers {
		ranks = append(ranks, s.Rank)
	}
	o.Servers = servers
	return ranks
}

// weight is the same for the same gateway and server, whatever else is in the list, and after each restart.
func weight(id, url string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id + "\x00" + url))
	return mixed(h.Sum64())
}

// mixed is the finaliser of splitmix64: ids that differ in their last digit only would have neighbouring hashes.
func mixed(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
