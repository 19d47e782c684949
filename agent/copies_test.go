package agent

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

// What two packages must know, and cannot share, is the same in both.

// The check of a configuration reckons with package heartbeat. Package transport still has constants of its own: they have the same values.
func TestTransportReckonsLikeTheCheck(t *testing.T) {
	want := map[string]int64{ // in lower case: a constant that moves to another package may be exported there
		"leastkeepalive": int64(heartbeat.LeastKeepalive), "plainsession": heartbeat.PlainSession, "tlssession": heartbeat.TLSSession,
		"fastsessions": heartbeat.FastSessions,
	}
	found := map[string]bool{}
	err := filepath.WalkDir("../transport", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || filepath.Base(filepath.Dir(path)) == "heartbeat" {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			for i := 0; ok && i < len(spec.Values); i++ {
				name := strings.ToLower(spec.Names[i].Name)
				value, known := want[name]
				if !known {
					continue
				}
				found[name] = true
				text := strings.ReplaceAll(types.ExprString(spec.Values[i]), "time.Second", "1_000_000_000")
				if strings.Contains(text, "heartbeat.") {
					continue // it is the same constant
				}
				got, err := types.Eval(fset, nil, token.NoPos, text)
				if err != nil || got.Value == nil || constant.Compare(got.Value, token.NEQ, constant.MakeInt64(value)) {
					t.Errorf("%s: %s = %s, package heartbeat says %d (%v)", path, spec.Names[i].Name, text, value, err)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		if !found[name] {
			t.Errorf("transport has no constant %s any more: if it uses that of heartbeat, this test need not look for it", name)
		}
	}
}

// Two devices on one port of a serial server are found by the check of a configuration, and by the bridge, in the same spellings.
func TestTheCheckKnowsTheSameServers(t *testing.T) {
	ports := []string{"tcp://h:4001", "tcp://H:4001", "tcp://h.:4001", "rfc2217://h:04001", "tcp://h:4002", "tcp://10.0.0.1:1",
		"tcp://[::1]:1", "tcp://[0:0:0:0:0:0:0:1]:01", "tcp://[fe80::1%25eth0]:1"}
	same := 0
	for i, a := range ports {
		for _, b := range ports[i+1:] {
			const document = "uplink: {servers: [{url: mqtts://h}]}\nserial: {a: {port: %q}, b: {port: %q}}\n"
			_, _, err := config.Parse(fmt.Appendf(nil, document, a, b), config.ParseOptions{})
			is := serialport.ServerKey(a) == serialport.ServerKey(b)
			if is {
				same++
			}
			if refused := err != nil && strings.Contains(err.Error(), "is the port of"); refused != is {
				t.Errorf("%s and %s: refused %v, the same port for the bridge %v (%v)", a, b, refused, is, err)
			}
		}
	}
	if same != 7 {
		t.Errorf("%d pairs are the same port", same)
	}
}
