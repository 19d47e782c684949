package agent

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"

	"github.com/linkbeat/linkbeat/agent/statuspage"
)

var update = flag.Bool("update", false, "write the files of testdata again")

// fill makes each number in v another one, from n on.
func fill(v reflect.Value, n int64) int64 {
	switch v.Kind() {
	case reflect.Int, reflect.Int64:
		v.SetInt(n)
		n++
	case reflect.Float64:
		v.SetFloat(float64(n))
		n++
	case reflect.String:
		v.SetString("what runs now")
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		n = fill(v.Elem(), n)
	case reflect.Struct:
		for _, field := range v.Fields() {
			n = fill(field, n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		elem := reflect.New(v.Type().Elem()).Elem()
		n = fill(elem, n)
		v.SetMapIndex(reflect.ValueOf("one"), elem)
	}
	return n
}

// What a counter had reached before a reload is added to it; what is no counter says how it is now.
func TestTotalsGoOnto(t *testing.T) {
	var now, before statuspage.Status
	fill(reflect.ValueOf(&now).Elem(), 1)
	fill(reflect.ValueOf(&before).Elem(), 1_000_001)
	totals{uplink: before.Uplink, beat: before.Heartbeat, bytes: before.Bytes, spool: before.Spool, high: before.High,
		replies: before.Replies, commands: before.Commands}.onto(&now)
	d := now.Serial["one"]
	d.Add(gone(before.Serial["one"]))
	now.Serial["one"] = d
	got, err := json.MarshalIndent(now, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/totals.json"
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("not what %s says (%v):\n%s", file, err, got)
	}
}

func TestTotalsOfAFirstLossAfterAReload(t *testing.T) {
	var to statuspage.Uplink
	to.Add(statuspage.Uplink{Losses: map[string]int64{"ping": 2}})
	to.Add(statuspage.Uplink{Losses: map[string]int64{"ping": 1, "write": 1}})
	if !reflect.DeepEqual(to.Losses, map[string]int64{"ping": 3, "write": 1}) {
		t.Errorf("%v", to.Losses)
	}
}
