package codec

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

func TestReadPacket(t *testing.T) {
	long := "\x30\x83\x80\x01\x00\x01a" + strings.Repeat("x", 16384) // 16387 bytes of body
	for _, tt := range []struct {
		name, in string
		total    int    // of the packet; 0: an error
		err      string // part of it
	}{
		{"connack", "\x20\x02\x00\x00", 4, ""},
		{"connack with session present", "\x20\x02\x01\x00rest", 4, ""},
		{"refusing connack", "\x20\x02\x00\x05", 4, ""},
		{"pingresp", "\xd0\x00", 2, ""},
		{"puback", "\x40\x02\x12\x34", 4, ""},
		{"suback", "\x90\x04\x00\x01\x01\x80", 6, ""},
		{"pubrel", "\x62\x02\x00\x01", 4, ""},
		{"publish", "\x30\x04\x00\x01ab", 6, ""},
		{"publish of QoS 1 without payload", "\x32\x05\x00\x01a\x00\x07", 7, ""},
		{"publish in several parts", long, 16391, ""},
		{"length in more bytes than needed", "\xd0\x80\x00", 3, ""},
		{"nothing", "", 0, "EOF"},
		{"half a header", "\x30", 0, "unexpected EOF"},
		{"half a packet", "\x30\x04\x00", 0, "unexpected EOF"},
		{"length of five bytes", "\x30\x80\x80\x80\x80\x01", 0, "more than four bytes"},
		{"too long", "\x30\xff\xff\xff\x7f", 0, "more than the limit"},
		{"a web server", "HTTP/1.1 400", 0, "type 4"},
		{"reserved type 0", "\x00\x00", 0, "type 0"},
		{"reserved type 15", "\xf0\x00", 0, "type 15"},
		{"a request", "\xc0\x00", 0, "type 12"},
		{"code of a connack", "\x20\x02\x00\x06", 0, "CONNACK of 00 06"},
		{"flags of a connack", "\x21\x02\x00\x00", 0, "flags 1"},
		{"puback of nothing", "\x40\x02\x00\x00", 0, "identifier 0"},
		{"flags of pubrel", "\x60\x02\x00\x01", 0, "flags 0"},
		{"pingresp with a body", "\xd0\x01x", 0, "type 13"},
		{"suback without codes", "\x90\x02\x00\x01", 0, "type 9"},
		{"code of a suback", "\x90\x03\x00\x01\x03", 0, "code 3"},
		{"publish of QoS 3", "\x36\x05\x00\x01a\x00\x01", 0, "QoS 3"},
		{"publish without topic", "\x30\x02\x00\x00", 0, "valid topic"},
		{"topic beyond the packet", "\x30\x03\x00\x09a", 0, "valid topic"},
		{"topic that is not UTF-8", "\x30\x03\x00\x01\xff", 0, "valid topic"},
		{"publish without identifier", "\x32\x03\x00\x01a", 0, "no packet identifier"},
		{"publish with identifier 0", "\x32\x05\x00\x01a\x00\x00", 0, "no packet identifier"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, _, err := ReadPacket(bufio.NewReader(strings.NewReader(tt.in)), 1<<20, nil, func() {})
			if tt.total > 0 {
				if err != nil || string(p) != tt.in[:tt.total] {
					t.Errorf("got %d bytes, %v", len(p), err)
				}
			} else if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %q in it", err, tt.err)
			}
		})
	}
}

func TestBufferGrowsOnlyWithWhatArrives(t *testing.T) {
	in := "\x30\xff\xff\xff\x7f" + "\x00\x01a" + strings.Repeat("x", 40000) // promises 256 MiB
	p, _, err := ReadPacket(bufio.NewReader(strings.NewReader(in)), 256<<20+maxHeader, nil, func() {})
	if !errors.Is(err, io.ErrUnexpectedEOF) || cap(p) > 4*len(in) {
		t.Errorf("buffer of %d bytes for %d that came: %v", cap(p), len(in), err)
	}
}

// FuzzReadPacket feeds bytes of a mad server. What passes is a prefix of the input, within the limit, and understood by the
// library, which must neither fail nor panic on it.
func FuzzReadPacket(f *testing.F) {
	for _, s := range []string{
		"\x20\x02\x00\x00\x90\x03\x00\x01\x01\xd0\x00", "\x30\x04\x00\x01ab\x40\x02\x00\x01", "\x32\x05\x00\x01a\x00\x07",
		"\x62\x02\x00\x01", "\x30\xff\xff\xff\x7f", "HTTP/1.1 200 OK\r\n", "\xd0\x80\x00", "\x20\x02\x00\x77",
		"\x90\x05\x00\x01\x00\x00\x00",
	} {
		f.Add([]byte(s))
	}
	const limit = 64 << 10
	f.Fuzz(func(t *testing.T, in []byte) {
		r, at := bufio.NewReader(bytes.NewReader(in)), 0
		var buf []byte
		for {
			p, h, err := ReadPacket(r, limit, buf, func() {})
			if cap(p) > 4*(limit+ReadChunk) {
				t.Fatalf("buffer of %d bytes", cap(p))
			}
			if err != nil {
				return
			}
			if len(p) != h.Total() || len(p) > limit || !bytes.Equal(p, in[at:at+len(p)]) {
				t.Fatalf("packet of %d bytes at %d is not what came", len(p), at)
			}
			if _, err := packets.ReadPacket(bytes.NewReader(p)); err != nil {
				t.Fatalf("the library does not understand % x: %v", p, err)
			}
			at, buf = at+len(p), p
		}
	})
}

func TestOutboundPackets(t *testing.T) {
	write := func(p packets.ControlPacket) []byte {
		var b bytes.Buffer
		if err := p.Write(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	publish := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	publish.TopicName, publish.Qos, publish.MessageID, publish.Payload = "a/b", 1, 77, make([]byte, 300)
	subscribe := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	subscribe.MessageID, subscribe.Topics, subscribe.Qoss = 5, []string{"a/#", "b"}, []byte{1, 1}
	puback := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
	puback.MessageID = 9
	for _, tt := range []struct {
		name string
		p    packets.ControlPacket
		want Outbound
	}{
		{"publish", publish, Outbound{Kind: TypePublish, QoS: 1, ID: 77}},
		{"subscribe", subscribe, Outbound{Kind: TypeSubscribe, ID: 5, Filters: 2}},
		{"puback", puback, Outbound{Kind: TypePuback, ID: 9}},
		{"disconnect", packets.NewControlPacket(packets.Disconnect), Outbound{Kind: TypeDisconnect}},
	} {
		b := write(tt.p)
		if got, err := ParseOutbound(b); got != tt.want || err != nil {
			t.Errorf("%s: got %+v, %v", tt.name, got, err)
		}
		if _, err := ParseOutbound(b[:len(b)-1]); err == nil {
			t.Errorf("%s, cut: no error", tt.name)
		}
	}
	if got, want := PublishSize("a/b", 300, 1), len(write(publish)); got != want {
		t.Errorf("publish is %d bytes, thought %d", want, got)
	}
}

func TestKeepaliveIsPatched(t *testing.T) {
	c := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	c.ProtocolName, c.ProtocolVersion, c.ClientIdentifier = "MQTT", 4, strings.Repeat("x", 200) // a length of two bytes
	var b bytes.Buffer
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	out, err := PatchKeepalive(b.Bytes(), 1170)
	if err != nil {
		t.Fatal(err)
	}
	p, err := packets.ReadPacket(bytes.NewReader(out))
	if got := p.(*packets.ConnectPacket); err != nil || got.Keepalive != 1170 || got.ClientIdentifier != c.ClientIdentifier {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := PatchKeepalive([]byte{0xc0, 0}, 1); err == nil {
		t.Error("a PINGREQ was taken for a CONNECT")
	}
}
