package main

import (
	"math/bits"
	"math/rand/v2"
	"slices"
)

// Up to this many files that all reach each other the fewest arrows back are proven, by 2^n steps; above it the best of
// many tries is taken.
const provable = 20

// tries from different orders, where the fewest cannot be proven. They are the same at every run.
const tries = 400

// fewestBack orders n files so that as few edges as possible run from a later file to an earlier one, and tells whether
// that is proven. It is the minimum feedback arc set, taken apart into strongly connected components: an edge between
// two of these never has to run back.
func fewestBack(n int, edges map[[2]int]bool) (order []int, proven bool) {
	out := make([][]int, n)
	for e := range edges {
		out[e[0]] = append(out[e[0]], e[1])
	}
	for i := range out {
		slices.Sort(out[i])
	}
	proven = true
	comps := components(out)
	slices.Reverse(comps) // components come with what is used first; who uses comes first here
	for _, c := range comps {
		if len(c) <= provable {
			order = append(order, exact(c, edges)...)
		} else {
			order = append(order, searched(c, edges)...)
			proven = false
		}
	}
	return order, proven
}

// components are the strongly connected ones (Tarjan 1972), each before those that reach it.
func components(out [][]int) [][]int {
	var all [][]int
	var stack []int
	seen, low, on := make([]int, len(out)), make([]int, len(out)), make([]bool, len(out))
	next := 1
	var visit func(v int)
	visit = func(v int) {
		seen[v], low[v] = next, next
		next++
		stack, on[v] = append(stack, v), true
		for _, w := range out[v] {
			if seen[w] == 0 {
				visit(w)
				low[v] = min(low[v], low[w])
			} else if on[w] {
				low[v] = min(low[v], seen[w])
			}
		}
		if low[v] != seen[v] {
			return
		}
		at := slices.Index(stack, v)
		c := slices.Clone(stack[at:])
		stack = stack[:at]
		for _, w := range c {
			on[w] = false
		}
		slices.Sort(c)
		all = append(all, c)
	}
	for v := range out {
		if seen[v] == 0 {
			visit(v)
		}
	}
	return all
}

// exact is dynamic programming over sets: least[s] is the fewest edges back among the files of s when they stand first.
func exact(c []int, edges map[[2]int]bool) []int {
	n := len(c)
	to := make([]uint32, n) // to[i]: the files that i uses
	for i, v := range c {
		for j, w := range c {
			if edges[[2]int{v, w}] {
				to[i] |= 1 << j
			}
		}
	}
	least := make([]uint16, 1<<n)
	last := make([]uint8, 1<<n)
	for s := 1; s < 1<<n; s++ {
		least[s] = ^uint16(0)
		for left := uint32(s); left != 0; left &= left - 1 {
			i := bits.TrailingZeros32(left)
			before := uint32(s) &^ (1 << i)
			// i stands last in s: its edges to those before it run back.
			if cost := least[before] + uint16(bits.OnesCount32(to[i]&before)); cost < least[s] {
				least[s], last[s] = cost, uint8(i)
			}
		}
	}
	order := make([]int, n)
	for s, at := uint32(1<<n-1), n-1; at >= 0; at-- {
		i := last[s]
		order[at] = c[i]
		s &^= 1 << i
	}
	return order
}

// searched moves one file at a time to where fewest edges run back, until no move helps, from many shuffled orders.
func searched(c []int, edges map[[2]int]bool) []int {
	n := len(c)
	uses := make([][]int, n)
	for i, v := range c {
		uses[i] = make([]int, n)
		for j, w := range c {
			if edges[[2]int{v, w}] {
				uses[i][j] = 1
			}
		}
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	best, fewest := slices.Clone(order), n*n
	random := rand.New(rand.NewPCG(1, 2))
	for range tries {
		for improve(order, uses) {
		}
		if b := back(order, uses); b < fewest {
			best, fewest = slices.Clone(order), b
		}
		random.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	for i, v := range best {
		best[i] = c[v]
	}
	return best
}

// improve moves one file to its best place; false when each stands there.
func improve(order []int, uses [][]int) bool {
	for at, v := range order {
		gain, to, most := 0, at, 0
		for i := at - 1; i >= 0; i-- { // moved up, v stands before order[i]
			gain += uses[v][order[i]] - uses[order[i]][v]
			if gain > most {
				most, to = gain, i
			}
		}
		gain = 0
		for i := at + 1; i < len(order); i++ { // moved down, v stands behind order[i]
			gain += uses[order[i]][v] - uses[v][order[i]]
			if gain > most {
				most, to = gain, i
			}
		}
		if most > 0 {
			copy(order[at:], order[at+1:])
			copy(order[to+1:], order[to:len(order)-1])
			order[to] = v
			return true
		}
	}
	return false
}

func back(order []int, uses [][]int) int {
	n := 0
	for i, v := range order {
		for _, w := range order[:i] {
			n += uses[v][w]
		}
	}
	return n
}
