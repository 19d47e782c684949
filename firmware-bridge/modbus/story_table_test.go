package modbus

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	p, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The vectors are those of the specifications, and of the libmodbus documentation.
func TestFramesOnTheLine(t *testing.T) {
	for _, c := range []struct {
		name     string
		protocol Protocol
		query    Query
		line     string
	}{
		{"rtu read 10 holding", RTU, Query{Unit: 0x11, PDU: ReadPDU(Holding, 0x6b, 3)}, "1103006b00037687"},
		{"rtu read a coil", RTU, Query{Unit: 1, PDU: ReadPDU(Coil, 0, 1)}, "010100000001fdca"},
		{"ascii", ASCII, Query{Unit: 0x11, PDU: ReadPDU(Holding, 0x6b, 3)}, hex.EncodeToString([]byte(":1103006B00037E\r\n"))},
		{"tcp", TCP, Query{Unit: 0x11, PDU: ReadPDU(Holding, 0x6b, 3), Transaction: 0x1501}, "1501000000061103006b0003"},
	} {
		if got := hex.EncodeToString(c.protocol.Append(nil, c.query)); got != c.line {
			t.Errorf("%s: %s, want %s", c.name, got, c.line)
		}
	}
	if CRC16([]byte("123456789")) != 0x4b37 {
		t.Errorf("CRC-16/MODBUS of the check string is %#x", CRC16([]byte("123456789")))
	}
}

func TestFind(t *testing.T) {
	read := ReadPDU(Holding, 0x6b, 3)
	answer := "0306022b00000064" // APP 6.3: 555, 0, 100
	good := func(p Protocol, unit byte, pdu string) string {
		return hex.EncodeToString(p.Append(nil, Query{Unit: unit, PDU: unhex(t, pdu), Transaction: 7}))
	}
	for _, c := range []struct {
		name    string
		p       Protocol
		got     string
		silent  bool
		want    string // "": none
		skipped int
	}{
		{"rtu", RTU, good(RTU, 17, answer), false, answer, 0},
		{"rtu, torn", RTU, good(RTU, 17, answer)[:14], true, "", 0},
		{"rtu, noise before", RTU, "1103ff" + good(RTU, 17, answer), false, answer, 3},
		{"rtu, a wrong bit", RTU, "11030721" + good(RTU, 17, answer)[8:], true, "", 0},
		{"rtu, of another unit", RTU, good(RTU, 18, answer), true, "", 0},
		{"rtu, of another unit, then ours", RTU, good(RTU, 18, answer) + good(RTU, 17, answer), false, answer, 11},
		{"rtu, of another length", RTU, good(RTU, 17, "0302002b"), true, "", 0},
		{"rtu, exception", RTU, good(RTU, 17, "8302"), false, "8302", 0},
		{"rtu, exception behind noise", RTU, "00" + good(RTU, 17, "8302"), false, "8302", 1},
		{"ascii", ASCII, good(ASCII, 17, answer), false, answer, 0},
		{"ascii, torn", ASCII, good(ASCII, 17, answer)[:20], false, "", 0},
		{"ascii, begun anew", ASCII, hex.EncodeToString([]byte(":1103")) + good(ASCII, 17, answer), false, answer, 5},
		{"ascii, a wrong digit", ASCII, hex.EncodeToString([]byte(":110306")) + good(ASCII, 17, answer)[16:], false, "", 0},
		{"tcp", TCP, good(TCP, 17, answer), false, answer, 0},
		{"tcp, of an earlier one, then ours", TCP, "0006000000031183021a" + good(TCP, 17, answer), false, answer, 10},
		{"tcp, torn", TCP, good(TCP, 17, answer)[:18], false, "", 0},
	} {
		a, ok := c.p.Find(unhex(t, c.got), Query{Unit: 17, PDU: read, Transaction: 7}, c.silent)
		switch {
		case ok != (c.want != ""):
			t.Errorf("%s: found %v", c.name, ok)
		case ok && (hex.EncodeToString(a.PDU) != c.want || a.Skipped != c.skipped):
			t.Errorf("%s: %x behind %d bytes, want %s behind %d", c.name, a.PDU, a.Skipped, c.want, c.skipped)
		}
	}
}

func TestAnAnswerOfUnknownLengthEndsBySilence(t *testing.T) {
	q := Query{Unit: 9, PDU: unhex(t, "2b0e0100")} // read device identification
	line := RTU.Append(nil, Query{Unit: 9, PDU: unhex(t, "2b0e01010000010003616263")})
	if _, ok := RTU.Find(line, q, false); ok {
		t.Error("taken for whole before the silence")
	}
	if a, ok := RTU.Find(line, q, true); !ok || !bytes.Equal(a.PDU, line[1:len(line)-2]) {
		t.Errorf("%x, %v", a.PDU, ok)
	}
}

func TestExceptionsByTheirStandardNames(t *testing.T) {
	_, err := Data(ReadPDU(Input, 0, 1), []byte{0x84, 2})
	if e := Exception(0); !errors.As(err, &e) || err.Error() != "ILLEGAL DATA ADDRESS" {
		t.Errorf("%v", err)
	}
	for code, name := range map[Exception]string{1: "ILLEGAL FUNCTION", 3: "ILLEGAL DATA VALUE", 4: "SERVER DEVICE FAILURE",
		5: "ACKNOWLEDGE", 6: "SERVER DEVICE BUSY", 8: "MEMORY PARITY ERROR", 10: "GATEWAY PATH UNAVAILABLE",
		11: "GATEWAY TARGET DEVICE FAILED TO RESPOND", 99: "EXCEPTION 99"} {
		if code.Error() != name {
			t.Errorf("%d is %q", code, code.Error())
		}
	}
}

func TestTypesAndOrders(t *testing.T) {
	for _, c := range []struct {
		r    Register
		raw  string
		want string
	}{
		{Register{Kind: Holding, Type: "uint16"}, "0903", "2307"},
		{Register{Kind: Holding, Type: "uint16", Scale: 0.1}, "0900", "230.4"},
		{Register{Kind: Holding, Type: "uint16", Order: "badc"}, "0309", "2307"},
		{Register{Kind: Input, Type: "int16"}, "fffe", "-2"},
		{Register{Kind: Input, Type: "int16", Scale: 0.5, Offset: -10}, "fffe", "-11"},
		{Register{Kind: Input, Type: "uint32"}, "00010002", "65538"},
		{Register{Kind: Input, Type: "uint32", Order: "cdab"}, "00020001", "65538"},
		{Register{Kind: Input, Type: "uint32", Order: "badc"}, "01000200", "65538"},
		{Register{Kind: Input, Type: "uint32", Order: "dcba"}, "02000100", "65538"},
		{Register{Kind: Input, Type: "int32"}, "ffffffff", "-1"},
		{Register{Kind: Input, Type: "int64", Order: "cdab"}, "fffeffffffffffff", "-2"},
		{Register{Kind: Input, Type: "uint64"}, "ffffffffffffffff", "18446744073709551615"},
		{Register{Kind: Input, Type: "float32"}, "43666666", "230.4"},
		{Register{Kind: Input, Type: "float32", Order: "cdab"}, "66664366", "230.4"},
		{Register{Kind: Input, Type: "float32"}, "7f800000", "!" + ErrNotANumber.Error()},
		{Register{Kind: Input, Type: "float64"}, "406ccccccccccccd", "230.4"},
		{Register{Kind: Input, Type: "float64", Order: "dcba"}, "cdcccccccccc6c40", "230.4"},
		{Register{Kind: Input, Type: "bit", Bit: 3}, "0008", "true"},
		{Register{Kind: Input, Type: "bits", Bit: 4, Count: 3}, "0050", "5"},
		{Register{Kind: Coil, Type: "bit"}, "01", "true"},
		{Register{Kind: Discrete, Type: "bits", Count: 10}, "0102", "513"},
		{Register{Kind: Holding, Type: "string", Count: 4}, "6d65746572000000", `"meter"`},
		{Register{Kind: Holding, Type: "string", Count: 3, Order: "badc"}, "6d6574652072", `"emetr"`},
		{Register{Kind: Holding, Type: "uint16"}, "09", "!" + ErrAnswer.Error()},
	} {
		if err := c.r.Check(); err != nil {
			t.Errorf("%+v: %v", c.r, err)
		}
		v, err := c.r.Decode(unhex(t, c.raw))
		got := v.String()
		if err != nil {
			got = "!" + err.Error()
		}
		if got != c.want {
			t.Errorf("%+v of %s: %s, want %s", c.r, c.raw, got, c.want)
		}
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	for _, c := range []struct {
		r    Register
		text string
	}{
		{Register{Kind: Holding, Type: "uint16"}, "65536"},
		{Register{Kind: Holding, Type: "uint16"}, "-1"},
		{Register{Kind: Holding, Type: "uint16"}, "1.5"},
		{Register{Kind: Holding, Type: "uint16"}, "true"},
		{Register{Kind: Holding, Type: "uint16"}, `"7"`},
		{Register{Kind: Holding, Type: "uint16"}, "null"},
		{Register{Kind: Holding, Type: "uint16", Scale: 0.1}, "6554"},
		{Register{Kind: Holding, Type: "int16"}, "32768"},
		{Register{Kind: Holding, Type: "int64"}, "9223372036854775808"},
		{Register{Kind: Holding, Type: "uint64"}, "18446744073709551616"},
		{Register{Kind: Holding, Type: "float32"}, "1e39"},
		{Register{Kind: Holding, Type: "float32"}, "NaN"},
		{Register{Kind: Holding, Type: "string", Count: 2}, `"meter"`},
		{Register{Kind: Holding, Type: "string", Count: 2}, "5"},
		{Register{Kind: Coil, Type: "bit"}, "2"},
		{Register{Kind: Holding, Type: "bits", Count: 3}, "8"},
	} {
		c.r.Writable = true
		if w, err := c.r.NewWrite(c.text); !errors.Is(err, ErrValue) {
			t.Errorf("%+v: %s is written as %v", c.r, c.text, w.Want)
		}
	}
	if _, err := (Register{Kind: Holding, Type: "uint16"}).NewWrite("1"); !errors.Is(err, ErrValue) {
		t.Error("one that is not writable was written")
	}
}

func TestPartsOfARegisterLeaveTheRestAlone(t *testing.T) {
	w, err := Register{Kind: Holding, Address: 7, Type: "bits", Bit: 4, Count: 3, Writable: true}.NewWrite("5")
	if err != nil || !w.ReadsFirst() {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(w.PDU(unhex(t, "ff2f"))); got != "060007ff5f" {
		t.Errorf("%s", got)
	}
}

func TestWritePDUs(t *testing.T) {
	for _, c := range []struct {
		r    Register
		text string
		want string
	}{
		{Register{Kind: Coil, Address: 0xac, Type: "bit"}, "true", "0500acff00"},
		{Register{Kind: Coil, Address: 0x13, Type: "bits", Count: 10}, "461", "0f0013000a02cd01"},
		{Register{Kind: Holding, Address: 1, Type: "uint16"}, "3", "0600010003"},
		{Register{Kind: Holding, Address: 1, Type: "uint16", Scale: 0.1}, "21.53", "06000100d7"},
		{Register{Kind: Holding, Address: 1, Type: "uint32"}, "655618", "100001000204000a0102"},
	} {
		c.r.Writable = true
		w, err := c.r.NewWrite(c.text)
		if got := hex.EncodeToString(w.PDU(nil)); err != nil || got != c.want {
			t.Errorf("%+v: %s, %v", c.r, got, err)
		}
	}
}
