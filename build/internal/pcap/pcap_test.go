package pcap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"
)

// wire writes a capture of one connection, a segment at a time.
type wire struct {
	file     bytes.Buffer
	now      time.Time
	up, down uint32 // numbers of the next bytes
}

const (
	flagFIN = 1
	flagSYN = 2
	flagACK = 16
)

func newWire() *wire {
	w := &wire{now: time.Unix(1700000000, 0), up: 0xfffffff0, down: 7} // the client's numbers wrap soon
	for _, v := range []uint32{magicMicro, 4<<16 | 2, 0, 0, 65535, ethernet} {
		_ = binary.Write(&w.file, binary.LittleEndian, v)
	}
	w.put(true, w.up, flagSYN, nil)
	w.up++
	w.now = w.now.Add(100 * time.Millisecond)
	w.put(false, w.down, flagSYN|flagACK, nil)
	w.down++
	return w
}

// put writes a segment with 12 bytes of options, as timestamps are.
func (w *wire) put(toServer bool, seq uint32, flags byte, p []byte) {
	frame := make([]byte, etherLen+20+32)
	binary.BigEndian.PutUint16(frame[12:], etherIPv4)
	ip := frame[etherLen:]
	ip[0], ip[9] = 0x45, protoTCP
	binary.BigEndian.PutUint16(ip[2:], uint16(52+len(p)))
	ends := [2][]byte{{10, 0, 0, 1, 0x9c, 0x40}, {10, 0, 0, 2, 0x07, 0x5b}}
	from, to := ends[0], ends[1]
	if !toServer {
		from, to = to, from
	}
	copy(ip[12:], from[:4])
	copy(ip[16:], to[:4])
	tcp := ip[20:]
	copy(tcp[0:], from[4:])
	copy(tcp[2:], to[4:])
	binary.BigEndian.PutUint32(tcp[4:], seq)
	if flags != flagSYN {
		binary.BigEndian.PutUint32(tcp[8:], 1)
	}
	tcp[12], tcp[13] = 8<<4, flags
	frame = append(frame, p...)
	for _, v := range []uint32{uint32(w.now.Unix()), uint32(w.now.Nanosecond() / 1000), uint32(len(frame)), uint32(len(frame))} {
		_ = binary.Write(&w.file, binary.LittleEndian, v)
	}
	w.file.Write(frame)
	w.now = w.now.Add(10 * time.Millisecond)
}

func (w *wire) send(toServer bool, p []byte) {
	next := &w.up
	if !toServer {
		next = &w.down
	}
	w.put(toServer, *next, flagACK, p)
	*next += uint32(len(p))
}

func (w *wire) conns(t *testing.T) []*Conn {
	t.Helper()
	segments, err := Read(&w.file)
	if err != nil {
		t.Fatal(err)
	}
	all, stray := Conns(segments)
	if stray != 0 {
		t.Fatalf("%d bytes belong to nothing", stray)
	}
	return all
}

func connect(id string) []byte {
	body := append([]byte("\x00\x04MQTT\x04\x02\x00\x3c"), byte(len(id)>>8), byte(len(id)))
	return append([]byte{Connect << 4, byte(len(body) + len(id))}, append(body, id...)...)
}

func publish(topic string, id uint16, payload string) []byte {
	body := append([]byte{0, byte(len(topic))}, topic...)
	body = append(append(body, byte(id>>8), byte(id)), payload...)
	return append([]byte{Publish<<4 | 2, byte(len(body))}, body...)
}

func puback(id uint16) []byte { return []byte{Puback << 4, 2, byte(id >> 8), byte(id)} }

func TestEachByteHasOneCause(t *testing.T) {
	w := newWire()
	w.send(true, connect("gw"))
	w.send(false, []byte{Connack << 4, 2, 0, 0})
	data := publish("lb/gw/up/data/meter", 1, "hello")
	w.send(true, data[:4])
	w.send(true, data[4:])
	w.send(false, puback(1))
	cmd := publish("lb/gw/dn/cmd/meter/write", 1, "x") // the same number, the other way
	w.send(false, cmd)
	w.send(true, puback(1))
	w.send(true, []byte{Pingreq << 4, 0})
	w.send(false, []byte{Pingresp << 4, 0})
	w.put(true, w.up, flagFIN|flagACK, nil)
	all := w.conns(t)
	if len(all) != 1 || all[0].ClientID() != "gw" || all[0].RTT != 110*time.Millisecond {
		t.Fatalf("%d connections: %+v", len(all), all)
	}
	got := Sort(all, "gw", TopicCause)
	want := Causes{"headers": 52 * 12, "handshake": int64(len(connect("gw")) + 4), "data": int64(len(data) + 4),
		"cmd": int64(len(cmd) + 4), "ping": 4}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("\n got %v\nwant %v", got, want)
	}
	if other := Sort(all, "another", TopicCause); other["probe"] != want.Sum()-want["headers"] ||
		other["headers"] != want["headers"] {
		t.Errorf("as a probe: %v", other)
	}
}

func TestWhatIsSentAgainIsHeaders(t *testing.T) {
	w := newWire()
	w.send(true, connect("gw"))
	a, b, c := publish("lb/gw/up/data/a", 1, "first"), publish("lb/gw/up/data/b", 2, "second"),
		publish("lb/gw/up/data/c", 3, "third")
	at := w.up
	w.send(true, a)
	w.up += uint32(len(b)) // b is lost
	w.send(true, c)
	w.put(true, at+uint32(len(a)), flagACK, b)
	w.put(true, at, flagACK, append(append([]byte(nil), a...), b...)) // all over again
	w.put(true, at, flagACK, a[:5])
	got := w.conns(t)
	var topics string
	for _, p := range got[0].Up {
		topics += p.Topic + " "
	}
	if topics != " lb/gw/up/data/a lb/gw/up/data/b lb/gw/up/data/c " {
		t.Errorf("topics %q", topics)
	}
	again := len(a) + len(b) + 5
	if sum := Sort(got, "gw", TopicCause); sum["headers"] != int64(8*52+again) || sum["data"] != int64(len(a)+len(b)+len(c)) {
		t.Errorf("%v, want %d bytes sent again among the headers", sum, again)
	}
}

func TestAPortUsedAgainIsAnotherConnection(t *testing.T) {
	w := newWire()
	w.send(true, connect("gw"))
	w.up += 1 << 20
	w.put(true, w.up, flagSYN, nil)
	w.up++
	w.send(true, connect("gw-p1"))
	all := w.conns(t)
	if len(all) != 2 || all[1].ClientID() != "gw-p1" {
		t.Errorf("%d connections", len(all))
	}
}

func TestATornFileEndsWithTheLastWholePacket(t *testing.T) {
	w := newWire()
	w.send(true, connect("gw"))
	whole := w.file.Bytes()
	segments, err := Read(bytes.NewReader(whole[:len(whole)-3]))
	if err != nil || len(segments) != 2 {
		t.Errorf("%d segments, %v", len(segments), err)
	}
	if _, err := Read(bytes.NewReader(make([]byte, 100))); err == nil {
		t.Error("zeros were taken for a capture")
	}
}
