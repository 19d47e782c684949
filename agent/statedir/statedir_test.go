package statedir

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestTwoAgentsDoNotShareAState(t *testing.T) {
	dir := t.TempDir() + "/state"
	first, err := openState(dir)
	if err != nil || first.Fault != nil {
		t.Fatal(err, first.Fault)
	}
	_, err = openState(dir)
	if err == nil || !strings.Contains(err.Error(), "pid "+strconv.Itoa(os.Getpid())) ||
		!strings.Contains(err.Error(), "own state_dir") {
		t.Fatalf("%v", err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	again, err := openState(dir)
	if err != nil || again.Fault != nil {
		t.Fatal(err, again.Fault)
	}
	if err := again.close(); err != nil {
		t.Fatal(err)
	}
}

// Two agents with a state_dir each and one spool.dir would corrupt each other's segments.
func TestTwoAgentsDoNotShareASpool(t *testing.T) {
	dir := t.TempDir()
	first, err := lockSpool(dir)
	if err != nil || first.Fault != nil {
		t.Fatal(err, first.Fault)
	}
	if state, err := openState(dir); err != nil { // which may be the parent of the spool
		t.Error(err)
	} else if err := state.close(); err != nil {
		t.Error(err)
	}
	_, err = lockSpool(dir)
	if err == nil || !strings.Contains(err.Error(), "pid "+strconv.Itoa(os.Getpid())) ||
		!strings.Contains(err.Error(), "own spool.dir") {
		t.Fatalf("%v", err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
}

func TestAStateThatCannotBeIsAFaultNotAnEnd(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := openState(file + "/state")
	if err != nil || s.Fault == nil || s.Root != nil {
		t.Fatalf("%v, %+v", err, s)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}
