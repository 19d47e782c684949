package statuspage

import (
	"bytes"
	"flag"
	"net/http/httptest"
	"os"
	"reflect"
	"testing"
)

var update = flag.Bool("update", false, "write the files of testdata again")

// filled is a status in which no two numbers are the same, so that none can be mistaken for another.
func filled() Status {
	n := int64(0)
	var fill func(v reflect.Value, name string)
	fill = func(v reflect.Value, name string) {
		switch v.Kind() {
		case reflect.Int, reflect.Int64:
			n++
			v.SetInt(1_000_000 + n)
		case reflect.Float64:
			n++
			v.SetFloat(float64(n) + 0.25)
		case reflect.Bool:
			v.SetBool(true)
		case reflect.String:
			v.SetString(name)
		case reflect.Pointer:
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), name)
		case reflect.Struct:
			for f, field := range v.Fields() {
				fill(field, f.Name)
			}
		case reflect.Map:
			v.Set(reflect.MakeMap(v.Type()))
			for _, key := range []string{"one", `t"wo`} {
				elem := reflect.New(v.Type().Elem()).Elem()
				fill(elem, key)
				v.SetMapIndex(reflect.ValueOf(key), elem)
			}
		default:
			panic(v.Type().String())
		}
	}
	var s Status
	fill(reflect.ValueOf(&s).Elem(), "")
	return s
}

// What /status and /metrics say is read by machines: not a byte of it changes by itself.
func TestPagesAreAsTheyWere(t *testing.T) {
	up, ill := filled(), filled()
	up.Uplink.State, up.Why = "up", ""
	up.Serial = map[string]Serial{"m": {State: "open", Units: map[string]Unit{"u": {State: "live"}}}}
	for name, c := range map[string]struct {
		path   string
		status Status
	}{
		"status.json": {"/status", ill}, "metrics.txt": {"/metrics", ill}, "metrics_up.txt": {"/metrics", up},
		"metrics_none.txt": {"/metrics", Status{}},
	} {
		r := httptest.NewRequest("GET", c.path, nil)
		r.Host = "127.0.0.1:8077"
		w := httptest.NewRecorder()
		testPage(c.status, nil).ServeHTTP(w, r)
		file := "testdata/" + name
		if *update {
			if err := os.WriteFile(file, w.Body.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(w.Body.Bytes(), want) {
			t.Errorf("%s is not what %s says (%v):\n%s", c.path, file, err, w.Body)
		}
	}
}
