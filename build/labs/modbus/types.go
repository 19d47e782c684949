package modbus

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// sample is one value of one type in one order, with the words that stand for it: worked out here, not by linkbeat.
type sample struct {
	name, kind, order string
	address, words    int
	json              string
	big               []byte // abcd
}

// samples are every type in every order, one behind the other from an address on.
func samples(from int) (all []sample) {
	u16 := func(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
	u32 := func(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
	u64 := func(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }
	for _, order := range []string{"abcd", "cdab", "badc", "dcba"} {
		for _, s := range []sample{
			{kind: "int16", json: "-12345", big: u16(0xcfc7)},
			{kind: "uint16", json: "54321", big: u16(54321)},
			{kind: "int32", json: "-123456789", big: u32(0xf8a432eb)},
			{kind: "uint32", json: "3123456789", big: u32(3123456789)},
			{kind: "int64", json: "-1234567890123456789", big: u64(0xeeddef0b82167eeb)},
			{kind: "uint64", json: "12345678901234567890", big: u64(12345678901234567890)},
			{kind: "float32", json: "230.4", big: u32(math.Float32bits(230.4))},
			{kind: "float64", json: "-273.15", big: u64(math.Float64bits(-273.15))},
			{kind: "string", json: `"meter-17"`, big: []byte("meter-17")},
		} {
			s.name, s.order, s.address, s.words = s.kind+"_"+order, order, from, len(s.big)/2
			from += s.words
			all = append(all, s)
		}
	}
	return all
}

// line is how the bytes lie in the registers.
func (s sample) line() []byte {
	p := slices.Clone(s.big)
	if s.order == "badc" || s.order == "dcba" {
		for i := 0; i < len(p); i += 2 {
			p[i], p[i+1] = p[i+1], p[i]
		}
	}
	if (s.order == "cdab" || s.order == "dcba") && s.kind != "string" {
		words := slices.Collect(slices.Chunk(slices.Clone(p), 2))
		slices.Reverse(words)
		p = slices.Concat(words...)
	}
	return p
}

func unitOf(all []sample) map[string]any {
	registers := map[string]any{"coil": map[string]any{"kind": "coil", "address": 5, "writable": true},
		"flags":  map[string]any{"address": 350, "type": "bits", "bit": 4, "count": 3, "writable": true},
		"scaled": map[string]any{"address": 351, "scale": 0.1, "writable": true},
		"absent": map[string]any{"address": 9999},
		"coils":  map[string]any{"kind": "coil", "address": 20, "type": "bits", "count": 12, "writable": true}}
	for _, s := range constants() {
		registers[s.name] = s.register
	}
	for _, s := range all {
		r := map[string]any{"address": s.address, "type": s.kind, "order": s.order, "writable": true}
		if s.kind == "string" {
			r["count"] = s.words
		}
		registers[s.name] = r
	}
	return map[string]any{"address": 1, "every": "1s", "registers": registers}
}

// constant is a value that only the slave can set.
type constant struct {
	name, json string
	register   map[string]any
}

// constants are of the two kinds that cannot be written. The slave sets bit i of unit 1 when i + 1 is a multiple of 3, and input
// register i to 1000 + i.
func constants() []constant {
	input := func(i uint64) uint64 { return 1000 + i }
	return []constant{
		{"discrete_on", "true", map[string]any{"kind": "discrete", "address": 2}},
		{"discrete_off", "false", map[string]any{"kind": "discrete", "address": 3}},
		{"discrete_bits", fmt.Sprint(1<<2 | 1<<5 | 1<<8), map[string]any{"kind": "discrete", "address": 0, "type": "bits",
			"count": 9}},
		{"input_int32", fmt.Sprint(input(20)<<16 | input(21)), map[string]any{"kind": "input", "address": 20, "type": "int32"}},
		{"input_cdab", fmt.Sprint(input(31)<<16 | input(30)), map[string]any{"kind": "input", "address": 30, "type": "uint32",
			"order": "cdab"}},
		{"input_uint64", fmt.Sprint(input(40)<<48 | input(41)<<32 | input(42)<<16 | input(43)),
			map[string]any{"kind": "input", "address": 40, "type": "uint64"}},
		{"input_bits", fmt.Sprint(input(5) >> 2 & 15), map[string]any{"kind": "input", "address": 5, "type": "bits", "bit": 2,
			"count": 4}},
	}
}

// roundTrips writes every type in every order and reads it back; then mbpoll reads the same registers, and
// writes what linkbeat reads.
func roundTrips(e *kit.Env, _ options, slave string, t *kit.Table) error {
	h, args, err := newHub(e, "types", []int{1})
	if err != nil {
		return err
	}
	if err := slaves(e, "slave-types", slave, append([]string{"rtu"}, args...)...); err != nil {
		return err
	}
	all := samples(100)
	bus := map[string]any{"port": h.Port, "baud": 115200, "commands": true, "units": map[string]any{"u1": unitOf(all)}}
	r, err := newRig(e, "gw-types", bus)
	if err != nil {
		return err
	}
	if err := r.writesAll("RTU", all, t); err != nil {
		return err
	}
	got, _, err := r.Command("u1", "request", map[string]any{"hex": "03270f0001"})
	if err == nil && got.Hex != "8302" {
		err = fmt.Errorf("%+v", got)
	}
	t.Check("RTU: an exception is an answer to a request", err)
	if err := r.Agent.Term(); err != nil {
		return err
	}
	rival := []string{"-m", "rtu", "-b", "115200", "-P", "none", "-o", "1"}
	t.Check("mbpoll on RTU reads the same words", readsSame(e, rival, h.Port, all))
	t.Check("mbpoll on RTU reads the same floats by its own decoding", readsFloats(e, rival, h.Port, all))
	if err := mbpollWrite(e, rival, h.Port, 100, "4660"); err != nil {
		return err
	}
	r.Books.Forget()
	if err := r.Agent.StartUp(); err != nil {
		return err
	}
	t.Check("what mbpoll wrote is what is read", r.publishes("int16_abcd", "4660"))
	return r.Agent.Term()
}

// overTCP does the same against libmodbus on TCP, with mbpoll beside it at the same time.
func overTCP(e *kit.Env, _ options, slave string, t *kit.Table) error {
	port, err := kit.FreePort("127.0.0.1")
	if err != nil {
		return err
	}
	if err := slaves(e, "slave-tcp", slave, "tcp", strconv.Itoa(port)); err != nil {
		return err
	}
	all := samples(100)
	r, err := newRig(e, "gw-tcp", map[string]any{"port": fmt.Sprintf("tcp://127.0.0.1:%d", port), "commands": true,
		"units": map[string]any{"u1": unitOf(all)}})
	if err != nil {
		return err
	}
	if err := r.writesAll("TCP", all, t); err != nil {
		return err
	}
	rival := []string{"-m", "tcp", "-p", strconv.Itoa(port)}
	t.Check("mbpoll on TCP reads the same words meanwhile", readsSame(e, rival, "127.0.0.1", all))
	return r.Agent.Term()
}

// writesAll writes each sample, and wants it back in the reply and in what is published.
func (r *rig) writesAll(on string, all []sample, t *kit.Table) error {
	if err := r.publishes("scaled", ""); err != nil {
		return err
	}
	wrong := 0
	var first error
	wants := map[string]string{"coil": "true", "flags": "5", "scaled": "21.5", "coils": "2741"}
	for _, s := range all {
		wants[s.name] = s.json
	}
	for name, want := range wants {
		got, _, err := r.Command("u1", "write", map[string]any{"values": map[string]any{name: json.RawMessage(want)}})
		if err != nil {
			return err
		}
		if !got.OK || string(got.Values[name]) != want {
			wrong++
			first = fmt.Errorf("%s: wrote %s: %+v", name, want, got)
		}
	}
	t.Check(fmt.Sprintf("%s: %d values of every type and order are written and read back", on, len(wants)), first)
	r.Env.Sleep(1500 * time.Millisecond)
	records, err := r.records("u1")
	if err != nil {
		return err
	}
	last := records[len(records)-1]
	for name, want := range wants {
		if string(last.Values[name]) != want {
			err = fmt.Errorf("%s is published as %s, want %s", name, last.Values[name], want)
		}
	}
	t.Check(on+": they are published", err)
	err = nil
	for _, x := range constants() {
		if got := string(last.Values[x.name]); got != x.json {
			err = fmt.Errorf("%s is published as %s, want %s", x.name, got, x.json)
		}
	}
	t.Check(on+": so are discrete inputs and input registers, as bits and as numbers of several types", err)
	err = nil
	if why := last.Bad["absent"]; why != "ILLEGAL DATA ADDRESS" || len(last.Bad) != 1 {
		err = fmt.Errorf("bad: %v", last.Bad)
	}
	t.Check(on+": a register that is not there is bad by the standard's name, and only it", err)
	got, _, err := r.Command("u1", "write", map[string]any{"values": map[string]any{"scaled": 99999}})
	if err == nil && (got.OK || got.Error != "malformed") {
		err = fmt.Errorf("%+v", got)
	}
	t.Check(on+": a value out of range is refused", err)
	return nil
}

// publishes waits for a record in which a value is so; empty: in which it is.
func (r *rig) publishes(name, want string) error {
	var last string
	err := r.Env.Until(name+" to be published", 15*time.Second, func() bool {
		all, err := r.records("u1")
		if err != nil || len(all) == 0 {
			return false
		}
		last = string(all[len(all)-1].Values[name])
		return last != "" && (want == "" || last == want)
	})
	if err != nil {
		return fmt.Errorf("%w: it is %q, want %q", err, last, want)
	}
	return nil
}

var reading = regexp.MustCompile(`(?m)^\[(\d+)\]:\s+(\S+)`)

// mbpoll reads registers once; by address.
func mbpoll(e *kit.Env, how []string, target, format string, from, count int, more ...string) (map[int]string, error) {
	args := slices.Concat(how, more, []string{"-a", "1", "-0", "-r", strconv.Itoa(from), "-c", strconv.Itoa(count), "-t", format,
		"-1", target})
	out, err := exec.CommandContext(e.Ctx, "mbpoll", args...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("mbpoll %s: %w: %s", strings.Join(args, " "), err, out)
	}
	found := map[int]string{}
	for _, m := range reading.FindAllStringSubmatch(string(out), -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return nil, err
		}
		found[n] = m[2]
	}
	return found, nil
}

func mbpollWrite(e *kit.Env, how []string, target string, address int, value string) error {
	args := slices.Concat(how, []string{"-a", "1", "-0", "-r", strconv.Itoa(address), "-t", "4", target, value})
	if out, err := exec.CommandContext(e.Ctx, "mbpoll", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("mbpoll %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// readsSame compares words.
func readsSame(e *kit.Env, how []string, target string, all []sample) error {
	for _, s := range all {
		got, err := mbpoll(e, how, target, "4:hex", s.address, s.words)
		if err != nil {
			return err
		}
		want := s.line()
		for i := range s.words {
			if w := fmt.Sprintf("0x%04X", binary.BigEndian.Uint16(want[2*i:])); got[s.address+i] != w {
				return fmt.Errorf("%s: mbpoll reads %s at %d, want %s", s.name, got[s.address+i], s.address+i, w)
			}
		}
	}
	return nil
}

// readsFloats lets mbpoll decode: it knows two of the orders.
func readsFloats(e *kit.Env, how []string, target string, all []sample) error {
	for _, s := range all {
		var more []string
		switch s.name {
		case "float32_abcd":
			more = []string{"-B"}
		case "float32_cdab":
		default:
			continue
		}
		got, err := mbpoll(e, how, target, "4:float", s.address, 1, more...)
		if err != nil {
			return err
		}
		if got[s.address] != s.json {
			return fmt.Errorf("%s: mbpoll reads %s, want %s", s.name, got[s.address], s.json)
		}
	}
	return nil
}
