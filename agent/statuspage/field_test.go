package statuspage

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// checkAdd checks that Add of a type adds what its table calls a counter, and leaves everything else as it was.
func checkAdd[T any](t *testing.T, fields func(*T) table, add func(to *T, more T)) {
	t.Helper()
	var to, more, want T
	counters := map[uintptr]bool{}
	for _, f := range fields(&want) {
		if f.count != nil {
			counters[reflect.ValueOf(f.count).Pointer()] = true
		}
	}
	n := int64(1)
	for i := range reflect.TypeFor[T]().NumField() {
		sum := reflect.ValueOf(&want).Elem().Field(i)
		if sum.Kind() != reflect.Int64 {
			continue
		}
		reflect.ValueOf(&to).Elem().Field(i).SetInt(n)
		reflect.ValueOf(&more).Elem().Field(i).SetInt(1000 * n)
		if sum.SetInt(n); counters[sum.Addr().Pointer()] {
			sum.SetInt(1001 * n)
		}
		n++
	}
	if add(&to, more); !reflect.DeepEqual(to, want) {
		t.Errorf("%T: %+v, want %+v", to, to, want)
	}
	for _, f := range fields(&want) {
		if f.name != "" && (f.kind() == "counter") != strings.HasSuffix(f.name, "_total") || f.name != "" && f.help == "" {
			t.Errorf("%T: %+v", to, f)
		}
	}
}

func TestAddAddsCountersAlone(t *testing.T) {
	checkAdd(t, (*Uplink).fields, (*Uplink).Add)
	checkAdd(t, (*Heartbeat).fields, (*Heartbeat).Add)
	checkAdd(t, (*Spool).fields, (*Spool).Add)
	checkAdd(t, (*Serial).fields, (*Serial).Add)
	checkAdd(t, (*Commands).fields, (*Commands).Add)
}

// What is added never shares anything with what it was added to.
func TestAddCopies(t *testing.T) {
	var u Uplink
	ended := Uplink{Losses: map[string]int64{"ping": 1}}
	u.Add(ended)
	u.Add(ended)
	if u.Losses["ping"] != 2 || ended.Losses["ping"] != 1 {
		t.Errorf("%v, %v", u.Losses, ended.Losses)
	}
	e := &LineErrors{Parity: 1}
	both := e.Plus(&LineErrors{Parity: 2, Buffer: 3})
	if *both != (LineErrors{Parity: 3, Buffer: 3}) || e.Parity != 1 || both.Sum() != 6 {
		t.Errorf("%+v, %+v", both, e)
	}
	var none *LineErrors
	if none.Plus(nil) != nil || e.Plus(nil) != e || none.Plus(e) != e || none.Sum() != 0 {
		t.Error("a driver that counts nothing")
	}
}

// The causes are all of the bytes, under the names that JSON has.
func TestCausesAreAllBytes(t *testing.T) {
	var b Bytes
	for i, c := range b.causes() {
		*c.bytes = int64(1) << i
	}
	p, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	var names map[string]int64
	if err := json.Unmarshal(p, &names); err != nil {
		t.Fatal(err)
	}
	for i, c := range b.causes() {
		if names[c.name] != int64(1)<<i {
			t.Errorf("%s: %d", c.name, names[c.name])
		}
	}
	if len(names) != len(b.causes()) || reflect.TypeFor[Bytes]().NumField() != len(b.causes()) {
		t.Error("a cause is missing")
	}
	if b.Sum() != 1<<len(b.causes())-1 || b.Plus(b).Minus(b) != b || b.Minus(b) != (Bytes{}) {
		t.Errorf("%+v", b)
	}
}
