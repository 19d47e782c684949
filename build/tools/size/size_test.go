package size

import (
	"bytes"
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// TestBinaryFitsItsBudget is the quick half of `make size`; memory is watched there.
func TestBinaryFitsItsBudget(t *testing.T) {
	kit.Need(t, "xz")
	b, err := ReadBudgets()
	if err != nil {
		t.Fatal(err)
	}
	table := kit.NewTable("size")
	if err := Binary(kit.Test(t, 5*time.Minute), b, table); err != nil {
		t.Fatal(err)
	}
	for _, row := range table.Missed() {
		t.Errorf("%s: %.2f %s, budget %s", row.Name, row.Value, row.Unit, row.Goal)
	}
}

// A clone without history must not judge less than one with it: what is compared with stands in build/budgets.json.
func TestTheRecordNeedsNoHistory(t *testing.T) {
	b, err := ReadBudgets()
	if err != nil {
		t.Fatal(err)
	}
	e := kit.Test(t, 5*time.Minute)
	gone := b.BeforeStep7
	gone.Commit = strings.Repeat("0", 40)
	gone.Bytes, gone.More = 1, 1
	table := kit.NewTable("size")
	if err := gone.Judge(e, table, true); err != nil {
		t.Fatal(err)
	}
	grew := func(r kit.Row) bool { return strings.Contains(r.Name, "more than in 0000000") }
	if !slices.ContainsFunc(table.Missed(), grew) {
		t.Errorf("an agent that has grown passes without history: %+v", table.Rows)
	}
	if _, err := gone.weighAgain(e, e.Dir); !errors.Is(err, kit.ErrNoHistory) {
		t.Error(err)
	}
	gone.Go = "go1.0"
	root, err := kit.Root()
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.comparable(e, root); err == nil {
		t.Error("figures of another Go are compared")
	}
	for _, broken := range []Record{{}, {Commit: gone.Commit}, {Commit: gone.Commit, Go: "go1.26.8", Bytes: 1}} {
		if broken.sound("x") == nil {
			t.Errorf("%+v passes", broken)
		}
	}
}

// TestSegmentsFitEveryPageOfARM links for each ARM machine as `make cross` does, which looks at the programs themselves.
func TestSegmentsFitEveryPageOfARM(t *testing.T) {
	e := kit.Test(t, 5*time.Minute)
	for _, target := range kit.Targets() {
		if !strings.Contains(target.Name, "-arm") {
			continue
		}
		path := filepath.Join(e.Dir, "nothing-"+target.Name)
		if err := kit.Build(e.Ctx, "build/tools/size/nothing", path, target.Env...); err != nil {
			t.Fatal(err)
		}
		if err := Aligned(path); err != nil {
			t.Error(err)
		}
		narrow(t, path)
		if err := Aligned(path); err == nil {
			t.Errorf("%s: a segment aligned to 4 KiB passes", target.Name)
		}
	}
}

// narrow says in the file that its last segment to be loaded is aligned to 4 KiB.
func narrow(t *testing.T, path string) {
	t.Helper()
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(p))
	if err != nil {
		t.Fatal(err)
	}
	at, size, field, width := 52, 32, 28, 4 // of a 32-bit file: where the program headers are, and p_align in one
	if f.Class == elf.ELFCLASS64 {
		at, size, field, width = 64, 56, 48, 8
	}
	for i, prog := range f.Progs {
		if prog.Type == elf.PT_LOAD {
			clear(p[at+i*size+field : at+i*size+field+width])
			p[at+i*size+field+1] = 4096 >> 8
			break
		}
	}
	if err := os.WriteFile(path, p, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSymbolsBelongToGroups(t *testing.T) {
	for symbol, want := range map[string]string{
		"github.com/linkbeat/linkbeat/agent/spool.(*Spool).Append":      "agent",
		"github.com/linkbeat/linkbeat/transport.New":                    "transport",
		"github.com/eclipse/paho%2emqtt%2egolang.(*client).Publish":     "paho, websocket",
		"github.com/eclipse/paho.mqtt.golang/packets.ReadPacket":        "paho, websocket",
		"go.yaml.in/yaml/v3.yaml_parser_scan":                           "yaml",
		"net.(*Resolver).LookupHost":                                    "net",
		"net/http.(*Server).Serve":                                      "net/http",
		"slices.SortFunc[go.shape.[]*github.com/linkbeat/linkbeat/x.Y]": "encoding, text, strings",
		"crypto/internal/fips140/nistec/fiat.p256Mul":                   "crypto",
		"internal/runtime/maps.(*Iter).Next":                            "runtime",
		"type:*":                                                        typesStrings,
		"go:func.*":                                                     typesStrings,
		"nobody/knows":                                                  others,
	} {
		if got := groupOf(symbol); got != want {
			t.Errorf("%s: %s, want %s", symbol, got, want)
		}
	}
}
