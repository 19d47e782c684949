package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/linkbeat/linkbeat/agent/wire"
)

// maxNames bounds the devices and units of a document: the spool numbers each of them.
const maxNames = 200

func isNetwork(port string) bool { return strings.HasPrefix(port, "tcp://") }

// checkUnits checks the bus of one device. names are those of all devices and of the units so far.
func (c *checker) checkUnits(at string, d *SerialDevice, names map[string]string) {
	if !d.IsBus() {
		if d.Modbus != DefaultSerial().Modbus {
			c.odd(at+".modbus", "has no effect without units")
		}
		return
	}
	for _, key := range []string{".frame", ".encoding"} {
		if c.set(at + key) {
			c.odd(at+key, "has no effect with units: a Modbus bus has frames of its own, and gives values")
		}
	}
	if d.PayloadFormat().Bare() {
		c.bad(at+".format", "%s are the bytes of frames, and units give values: use %s", d.Format,
			strings.Join(recordFormats(), " or "))
	}
	if d.ModbusProtocol() == "tcp" && !isNetwork(d.Port) {
		c.bad(at+".modbus.protocol", "tcp needs a port such as tcp://plc.example.net:502")
	}
	addresses := map[int]string{}
	for _, name := range sortedKeys(d.Units) {
		c.checkUnit(join(at+".units", name), name, d, names, addresses)
	}
}

func (c *checker) checkUnit(at, name string, d *SerialDevice, names map[string]string, addresses map[int]string) {
	u := d.Units[name]
	if err := checkLevel(name); err != nil {
		c.bad(at, "the name of a unit is a level of its topics: it %s", err)
	}
	if other, taken := names[name]; taken {
		c.bad(at, "has the name of %s: both are levels of topics", other)
	} else {
		names[name] = at
	}
	if len(names) > maxNames {
		c.bad(at, "is one too many: at most %d devices and units", maxNames)
	}
	switch first, taken := addresses[u.Address]; {
	case !c.set(at + ".address"):
		c.bad(at, "has no address: 1 to 247")
	case d.ModbusProtocol() != "tcp" && (u.Address < 1 || u.Address > 247): // MODBUS over Serial Line V1.02, 2.2
		c.bad(at+".address", "must be 1 to 247 on a serial line")
	case taken:
		c.bad(at+".address", "is that of %s already", first)
	default:
		addresses[u.Address] = name
	}
	if c.set(at+".max_silence") && u.Report != "change" {
		c.odd(at+".max_silence", "has no effect with report: always")
	}
	if len(u.Registers) == 0 {
		c.bad(at, "has no registers")
	}
	for _, r := range sortedKeys(u.Registers) {
		c.checkRegister(join(at+".registers", r), r, u, d.Modbus.MaxBlock)
	}
}

func (c *checker) checkRegister(at, name string, u *Unit, maxBlock int) {
	r := u.Registers[name]
	if err := checkValueName(name); err != nil {
		c.bad(at, "the name of a value %s", err)
	}
	if !c.set(at + ".address") {
		c.bad(at, "has no address: from 0, as on the line; a manual that says 40001 means holding register 0")
	}
	if c.faulted(at) || c.faulted(at+".type") || c.faulted(at+".kind") {
		return
	}
	onBits := r.Kind == "coil" || r.Kind == "discrete"
	isBits := r.Type == "bit" || r.Type == "bits"
	switch {
	case onBits && !c.set(at+".type"):
		r.Type = "bit"
	case onBits && !isBits:
		c.bad(at+".type", "%s needs 16-bit registers: a %s is a bit or bits", r.Type, r.Kind)
	}
	isBits = r.Type == "bit" || r.Type == "bits"
	switch {
	case r.Count > 0 && r.Type != "bits" && r.Type != "string":
		c.bad(at+".count", "belongs to type bits or string, and the type is %s", r.Type)
	case r.Count == 0 && r.Type == "string":
		c.bad(at, "of type string needs count: how many registers it takes")
	case onBits && r.Count > 64:
		c.bad(at+".count", "must be at most 64: more bits make no number")
	case r.Bit > 0 && (onBits || !isBits):
		c.bad(at+".bit", "belongs to type bit or bits of a 16-bit register")
	case isBits && !onBits && r.Bit+max(r.Count, 1) > 16:
		c.bad(at, "names bits beyond those of one register: bit + count is at most 16")
	case r.Address+r.size() > 1<<16:
		c.bad(at+".address", "and what follows goes beyond 65535")
	}
	if (r.Scale != 1 || r.Offset != 0) && (r.Type == "bit" || r.Type == "string") {
		c.bad(at, "of type %s has no scale and no offset", r.Type)
	}
	if r.Scale == 0 {
		c.bad(at+".scale", "must not be 0")
	}
	if (r.Writable || r.WriteOnly) && r.Kind != "coil" && r.Kind != "holding" {
		c.bad(at, "cannot be written: only coils and holding registers can")
	}
	switch most := maxBlock; {
	case r.WriteOnly && !r.Writable:
		c.bad(at+".write_only", "needs writable: true")
	case r.WriteOnly && isBits && !onBits:
		c.bad(at+".write_only", "is not possible for bits of a 16-bit register: it is read before they are written")
	default:
		if onBits {
			most *= 16
		}
		if n := r.size(); n > most && maxBlock > 0 && !r.WriteOnly {
			c.bad(at, "takes %d registers, more than modbus.max_block allows in one read (%d): a value is never split", n, most)
		}
	}
	if c.set(at+".deadband") && u.Report != "change" {
		c.odd(at+".deadband", "has no effect with report: always")
	}
}

// size is how many registers of its kind it takes.
func (r *Register) size() int {
	if n := map[string]int{"int32": 2, "uint32": 2, "float32": 2, "int64": 4, "uint64": 4, "float64": 4}[r.Type]; n > 0 {
		return n
	}
	if r.Type == "string" || r.Kind == "coil" || r.Kind == "discrete" {
		return max(r.Count, 1)
	}
	return 1
}

// checkValueName keeps names to what RFC 8428, 4.5.1 allows, so that any format can carry them.
func checkValueName(s string) error {
	const most = 64
	bad := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-:._", r))
	}
	switch {
	case wire.IsSenMLEntry(s):
		return fmt.Errorf("is what format senml calls something else: choose another name")
	case s == "" || len(s) > most:
		return fmt.Errorf("must have 1 to %d characters", most)
	case strings.ContainsFunc(s, bad), strings.ContainsRune("-:._", rune(s[0])):
		return fmt.Errorf("may hold a to z, A to Z, 0 to 9, - : . and _, and starts with a letter or a digit")
	}
	return nil
}

func (c *checker) checkRequests(at string, d *SerialDevice) {
	if i := slices.IndexFunc(d.Requests.Allow, func(h Hex) bool { return len(h) == 0 }); i >= 0 {
		c.bad(fmt.Sprintf("%s.requests.allow[%d]", at, i), "allows everything: leave the list out for that")
	}
	said := d.Requests
	if said.PerMinute == 0 {
		said.Limit = auto // 0 says nothing that would have an effect
	}
	if !d.Commands && !reflect.DeepEqual(said, DefaultSerial().Requests) {
		c.odd(at+".requests", "has no effect without commands: true")
	}
}
