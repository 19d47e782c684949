package main

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func edgesOf(pairs ...[2]int) map[[2]int]bool {
	edges := map[[2]int]bool{}
	for _, p := range pairs {
		edges[p] = true
	}
	return edges
}

func countBack(order []int, edges map[[2]int]bool) int {
	n := 0
	for e := range edges {
		if slices.Index(order, e[0]) > slices.Index(order, e[1]) {
			n++
		}
	}
	return n
}

func TestFewestBack(t *testing.T) {
	tests := []struct {
		name  string
		n     int
		edges map[[2]int]bool
		want  int
	}{
		{"no files", 0, nil, 0},
		{"one file", 1, nil, 0},
		{"a chain", 4, edgesOf([2]int{2, 0}, [2]int{0, 3}, [2]int{3, 1}), 0},
		{"two that use each other", 2, edgesOf([2]int{0, 1}, [2]int{1, 0}), 1},
		{"a ring", 5, edgesOf([2]int{0, 1}, [2]int{1, 2}, [2]int{2, 3}, [2]int{3, 4}, [2]int{4, 0}), 1},
		{"two rings that one arrow joins", 4, edgesOf([2]int{0, 1}, [2]int{1, 0}, [2]int{2, 3}, [2]int{3, 2}, [2]int{3, 0}), 2},
		{"all three use each other", 3, edgesOf([2]int{0, 1}, [2]int{1, 0}, [2]int{0, 2}, [2]int{2, 0}, [2]int{1, 2},
			[2]int{2, 1}), 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			order, proven := fewestBack(tt.n, tt.edges)
			if !proven {
				t.Error("not proven, though small")
			}
			if got := countBack(order, tt.edges); got != tt.want || len(order) != tt.n {
				t.Errorf("order %v has %d back, want %d", order, got, tt.want)
			}
		})
	}
}

func randomEdges(random *rand.Rand, n, some int) map[[2]int]bool {
	edges := map[[2]int]bool{}
	for range some {
		if a, b := random.IntN(n), random.IntN(n); a != b {
			edges[[2]int{a, b}] = true
		}
	}
	return edges
}

// permutations calls f with every order of rest behind first.
func permutations(first, rest []int, f func([]int)) {
	if len(rest) == 0 {
		f(first)
	}
	for i := range rest {
		left := slices.Delete(slices.Clone(rest), i, i+1)
		permutations(append(slices.Clone(first), rest[i]), left, f)
	}
}

func TestFewestBackIsThatOfAllOrders(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for range 60 {
		edges := randomEdges(random, 6, 14)
		fewest := len(edges)
		permutations(nil, []int{0, 1, 2, 3, 4, 5}, func(o []int) { fewest = min(fewest, countBack(o, edges)) })
		order, _ := fewestBack(6, edges)
		if got := countBack(order, edges); got != fewest {
			t.Fatalf("%v: %d back, the fewest of all orders is %d", edges, got, fewest)
		}
	}
}

func TestSearchFindsWhatIsProven(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 9))
	all := make([]int, 14)
	for i := range all {
		all[i] = i
	}
	for range 10 {
		edges := randomEdges(random, len(all), 50)
		if got, want := countBack(searched(all, edges), edges), countBack(exact(all, edges), edges); got != want {
			t.Errorf("%v: the search finds %d back, proven are %d", edges, got, want)
		}
	}
}
