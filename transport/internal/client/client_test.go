package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
)

const (
	patience = 10 * time.Second
	limit    = 1 << 10
)

// script is a server that has an answer to each packet, in order, and closes behind the last one if it hangs up.
type script struct {
	conn    net.Conn
	answers []string
	hangsUp bool

	mu    sync.Mutex
	heard []string // whole packets
}

func (s *script) run() {
	r := bufio.NewReader(s.conn)
	for i := 0; ; i++ {
		h, err := codec.ReadHeader(r)
		if err != nil {
			return
		}
		p := make([]byte, h.Total())
		if _, err := io.ReadFull(r, p); err != nil {
			return
		}
		s.mu.Lock()
		s.heard = append(s.heard, string(p))
		s.mu.Unlock()
		if i < len(s.answers) {
			_, _ = io.WriteString(s.conn, s.answers[i])
		}
		if s.hangsUp && i == len(s.answers)-1 {
			_ = s.conn.Close()
			return
		}
	}
}

func (s *script) packets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.heard)
}

// against runs f in a bubble, with a client of a server with these answers.
func against(t *testing.T, o Options, s *script, f func(*testing.T, *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s.conn = theirs
		var wg sync.WaitGroup
		wg.Go(s.run)
		if o.Limit == 0 {
			o.Limit = limit
		}
		c := New(ours, o)
		f(t, c)
		c.Close()
		wg.Wait()
	})
}

func kindOf(err error) faults.Outcome { return faults.Of(err, time.Now()).Kind }

const (
	accepted = "\x20\x02\x00\x00"
	granted  = "\x90\x04\x00\x01\x00\x80"
	pong     = "\xd0\x00"
)

func TestASessionInOrder(t *testing.T) {
	s := &script{answers: []string{accepted, granted, pong, "\x40\x02\x00\x02"}}
	against(t, Options{}, s, func(t *testing.T, c *Client) {
		code, err := c.Connect(t.Context(), codec.CheckConnect("gw", "", ""), patience)
		if code != 0 || err != nil {
			t.Fatal(code, err)
		}
		codes, err := c.Subscribe(t.Context(), []string{"a", "b"}, patience)
		if err != nil || !bytes.Equal(codes, []byte{0, codec.SubackFailure}) {
			t.Fatal(codes, err)
		}
		if err := c.Ping(t.Context(), patience); err != nil {
			t.Fatal(err)
		}
		id, err := c.Publish("a", []byte("x"), 1, patience)
		if err != nil || id != 2 {
			t.Fatal(id, err)
		}
		if p, err := c.Await(t.Context(), codec.TypePuback, patience); err != nil || codec.PacketID(p.Body) != id {
			t.Fatal(p, err)
		}
		if id, err := c.Publish("a", []byte("x"), 0, patience); id != 0 || err != nil {
			t.Fatal(id, err)
		}
		if err := c.Disconnect(); err != nil {
			t.Fatal(err)
		}
	})
	want := []string{"\x10\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05gw-p0", "\x82\x0a\x00\x01\x00\x01a\x00\x00\x01b\x00",
		"\xc0\x00", "\x32\x06\x00\x01a\x00\x02x", "\x30\x04\x00\x01ax", "\xe0\x00"}
	if got := s.packets(); !slices.Equal(got, want) {
		t.Errorf("the server heard\n%q, want\n%q", got, want)
	}
}

func TestConnect(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server *script
		code   byte
		kind   faults.Outcome
	}{
		{"refused", &script{answers: []string{"\x20\x02\x00\x05"}}, 5, faults.OutcomeStopped},
		{"closed", &script{answers: []string{""}, hangsUp: true}, 0, faults.OutcomeClosed},
		{"closed in the middle", &script{answers: []string{"\x20\x02\x00"}, hangsUp: true}, 0, faults.OutcomeClosed},
		{"silent", &script{}, 0, faults.OutcomeSilence},
		{"a publish first", &script{answers: []string{"\x30\x03\x00\x01a" + accepted}}, 0, faults.OutcomeNonsense},
		{"no MQTT", &script{answers: []string{"HTTP/1.1 400 Bad Request\r\n"}}, 0, faults.OutcomeNonsense},
	} {
		t.Run(tt.name, func(t *testing.T) {
			against(t, Options{}, tt.server, func(t *testing.T, c *Client) {
				start := time.Now()
				code, err := c.Connect(t.Context(), codec.CheckConnect("gw", "", ""), patience)
				if code != tt.code || (code == 0) != (err != nil) || err != nil && kindOf(err) != tt.kind {
					t.Errorf("code %d, %v", code, err)
				}
				if took := time.Since(start); tt.kind == faults.OutcomeSilence != (took == patience) {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// welcome makes the server known: before its CONNACK nothing else of it is read.
func welcome(t *testing.T, c *Client) {
	t.Helper()
	if code, err := c.Connect(t.Context(), codec.CheckConnect("gw", "", ""), patience); code != 0 || err != nil {
		t.Fatal(code, err)
	}
}

func TestAnAnswerIsBounded(t *testing.T) {
	against(t, Options{}, &script{answers: []string{accepted, "\x90\x03\x00\x01\x00"}}, func(t *testing.T, c *Client) {
		welcome(t, c)
		if _, err := c.Subscribe(t.Context(), []string{"a", "b"}, patience); kindOf(err) != faults.OutcomeNonsense {
			t.Error(err)
		}
	})
	long := "\x30\x90\x08\x00\x01a"
	against(t, Options{}, &script{answers: []string{accepted, long}}, func(t *testing.T, c *Client) {
		welcome(t, c)
		if err := c.Ping(t.Context(), patience); !errors.Is(err, codec.ErrOversized) {
			t.Error(err)
		}
	})
	against(t, Options{}, &script{}, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Ping(ctx, patience); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// A server that reads nothing does not hold a write for longer than the answer was waited for.
func TestAWriteIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := New(ours, Options{Limit: limit})
		defer c.Close()
		start := time.Now()
		if err := c.Ping(t.Context(), patience); kindOf(err) != faults.OutcomeSilence {
			t.Error(err)
		}
		if took := time.Since(start); took < patience || took > patience+time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// Before CONNACK nothing is read but a CONNACK: a server is not known before, and what it promises is not waited for.
func TestNothingIsReadBeforeConnack(t *testing.T) {
	most := 2 * readAhead
	for name, tt := range map[string]struct {
		o      Options
		begins string // of an endless packet
	}{
		"a PUBLISH":              {Options{Limit: 1 << 20}, "\x30\xff\xff\x3f\x00\x01a"},
		"a SUBACK":               {Options{Limit: 1 << 20}, "\x90\xff\xff\x3f\x00\x01"},
		"a PUBLISH of MQTT 5":    {Options{Limit: 64 << 10, MQTT5: true}, "\x30\xff\xff\x03\x00\x01a"},
		"a CONNACK with a novel": {Options{Limit: 64 << 10, MQTT5: true}, "\x20\xff\xff\x03\x00\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			sent := make(chan int, 1)
			go func() {
				_, _ = codec.ReadHeader(bufio.NewReader(theirs))
				n, _ := io.WriteString(theirs, tt.begins)
				for err := error(nil); err == nil; n += 64 {
					_, err = theirs.Write(make([]byte, 64))
				}
				sent <- n
			}()
			c := New(ours, tt.o)
			_, err := c.Connect(t.Context(), codec.CheckConnect("gw", "", ""), patience)
			if kindOf(err) != faults.OutcomeNonsense || !strings.Contains(err.Error(), "instead of CONNACK") {
				t.Error(err)
			}
			c.Close()
			if n := <-sent; n > most {
				t.Errorf("%d bytes were read", n)
			}
		})
	}
}

// What is not expected is handed out as foreign, and the payload has no packet identifier. A payload is expected once.
func TestOnePayloadIsExpected(t *testing.T) {
	all := "\x30\x04\x00\x01by" + "\x32\x06\x00\x01a\x00\x07x" + "\x30\x04\x00\x01ax" + pong
	against(t, Options{}, &script{answers: []string{accepted, all}}, func(t *testing.T, c *Client) {
		welcome(t, c)
		c.Expect([]byte("x"))
		if err := c.Send(Pingreq(), patience); err != nil {
			t.Fatal(err)
		}
		for i, want := range []Packet{{Topic: "b", Size: 6, Foreign: true}, {Topic: "a", Size: 8},
			{Topic: "a", Size: 6, Foreign: true}} {
			if p := <-c.Packets(); p.Topic != want.Topic || p.Size != want.Size || p.Foreign != want.Foreign || len(p.Body) != 1 {
				t.Errorf("%d: %+v", i, p)
			}
		}
		if p := <-c.Packets(); p.Kind != codec.TypePingresp {
			t.Errorf("%+v", p)
		}
	})
}

// What the server sends and nobody takes neither grows nor holds the end.
func TestCloseEndsAReaderThatWaits(t *testing.T) {
	against(t, Options{}, &script{answers: []string{accepted,
		string(bytes.Repeat([]byte(pong), 3*backlog))}}, func(t *testing.T, c *Client) {
		welcome(t, c)
		if err := c.Send(Pingreq(), patience); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(c.packets) != backlog {
			t.Errorf("%d packets wait", len(c.packets))
		}
	})
}

func TestMQTT5(t *testing.T) {
	s := &script{answers: []string{"\x20\x06\x00\x00\x03\x22\x00\x00", "\x40\x02\x00\x01", "\x40\x04\x00\x02\x87\x00"}}
	against(t, Options{MQTT5: true}, s, func(t *testing.T, c *Client) {
		if code, err := c.Connect(t.Context(), codec.CheckConnect("gw", "u", "p"), patience); code != 0 || err != nil {
			t.Fatal(code, err)
		}
		for i, want := range []byte{0, 0x87} {
			if id, err := c.Publish("a", []byte("x"), 1, patience); err != nil || id != uint16(i+1) {
				t.Fatal(id, err)
			}
			if p, err := c.Await(t.Context(), codec.TypePuback, patience); err != nil || codec.Reason5(p.Body) != want {
				t.Fatal(p, err)
			}
		}
	})
	want := []string{"\x10\x18\x00\x04MQTT\x05\xc2\x00\x3c\x00\x00\x05gw-p0\x00\x01u\x00\x01p", "\x32\x07\x00\x01a\x00\x01\x00x",
		"\x32\x07\x00\x01a\x00\x02\x00x"}
	if got := s.packets(); !slices.Equal(got, want) {
		t.Errorf("the server heard\n%q, want\n%q", got, want)
	}
}

// What nobody asked for is refused, and too much of it ends the session; a few, and a late answer, do not.
func TestWhatNobodyAskedForIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		o    Options
		junk string
		n    int
		want error // nil: the session goes on
	}{
		"a few PINGRESPs":      {Options{}, pong, unaskedMost - 1, nil},
		"PINGRESPs":            {Options{}, pong, 2 * unaskedMost, faults.Nonsense("")},
		"PUBACKs":              {Options{}, "\x40\x02\x00\x07", 2 * unaskedMost, faults.Nonsense("")},
		"SUBACKs":              {Options{}, "\x90\x03\x00\x07\x00", 2 * unaskedMost, faults.Nonsense("")},
		"a long SUBACK":        {Options{}, "\x90\x0b\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00", 1, faults.Nonsense("")},
		"a few messages":       {Options{Foreign: Foreign{Messages: 4}}, "\x30\x04\x00\x01ax", 4, nil},
		"messages":             {Options{Foreign: Foreign{Messages: 4}}, "\x30\x04\x00\x01ax", 9, ErrForeign},
		"bytes of messages":    {Options{Foreign: Foreign{Bytes: 20}}, "\x30\x04\x00\x01ax", 9, ErrForeign},
		"AUTHs of MQTT 5":      {Options{MQTT5: true}, "\xf0\x02\x18\x00", 2 * unaskedMost, faults.Nonsense("")},
		"SUBACKs of MQTT 5":    {Options{MQTT5: true}, "\x90\x04\x00\x07\x00\x00", 2 * unaskedMost, faults.Nonsense("")},
		"a novel in an AUTH":   {Options{MQTT5: true, Limit: 64 << 10}, "\xf0\xff\x7f", 1, faults.Nonsense("")},
		"a DISCONNECT of five": {Options{MQTT5: true}, "\xe0\x02\x8e\x00", 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			refused := 0
			c.o.Refused = func(p Packet) { refused += p.Size }
			accept := accepted
			if c.o.MQTT5 {
				accept = "\x20\x03\x00\x00\x00"
			}
			s := &script{answers: []string{accept, strings.Repeat(c.junk, c.n) + pong}}
			against(t, c.o, s, func(t *testing.T, cl *Client) {
				welcome(t, cl)
				if err := cl.Send(Pingreq(), patience); err != nil {
					t.Error(err)
				}
				time.AfterFunc(time.Second, func() { _ = s.conn.Close() })
				for range cl.Packets() {
				}
				switch err := cl.Err(); {
				case c.want == nil && kindOf(err) != faults.OutcomeClosed:
					t.Error(err)
				case c.want != nil && !errors.Is(err, c.want) && kindOf(err) != faults.OutcomeNonsense:
					t.Error(err)
				}
				if least := len(c.junk) * min(c.n, 4); c.n > 1 && (refused < least || refused > len(c.junk)*c.n) {
					t.Errorf("%d bytes are refused", refused)
				}
			})
		})
	}
}

// What is retained comes once with each subscription, and what is our own is no stranger's: neither counts. Old counts lapse.
func TestWhatIsNotHeldAgainstStrangers(t *testing.T) {
	live, kept := "\x30\x04\x00\x01ax", "\x31\x04\x00\x01ak"
	for name, c := range map[string]struct {
		junk    []string // a day between them
		refused int      // packets
		want    error
	}{
		"one that is retained":      {[]string{kept + live + live}, 3, nil},
		"two that are retained":     {[]string{kept + kept + live + live}, 4, ErrForeign},
		"our own":                   {[]string{strings.Repeat("\x30\x04\x00\x01ao", 9) + live + live}, 2, nil},
		"a few each day":            {[]string{live + live, live + live, live + live}, 6, nil},
		"more in a day":             {[]string{live, live + live + live}, 4, ErrForeign},
		"beyond the limit, all new": {[]string{"\x31\xff\x7f\x00\x01a" + strings.Repeat("x", 64)}, 1, ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			var refused []Packet
			o := Options{Foreign: Foreign{Messages: 2, Within: 24 * time.Hour},
				Refused: func(p Packet) { refused = append(refused, p) },
				Own:     func(p []byte) bool { return string(p) == "o" }}
			s := &script{answers: []string{accepted}}
			against(t, o, s, func(t *testing.T, cl *Client) {
				welcome(t, cl)
				var server sync.WaitGroup
				defer server.Wait()
				server.Go(func() {
					for _, junk := range c.junk {
						_, _ = io.WriteString(s.conn, junk)
						time.Sleep(24 * time.Hour)
					}
					_ = s.conn.Close()
				})
				for p := range cl.Packets() {
					if !p.Foreign {
						t.Errorf("%+v is expected", p)
					}
				}
				_ = s.conn.Close()
				if err := cl.Err(); errors.Is(err, ErrForeign) != (c.want != nil) || len(refused) != c.refused {
					t.Errorf("%v, %d refused", err, len(refused))
				}
				if p := refused[0]; p.Size < p.Read || (p.Size > p.Read) != (p.Size > limit) ||
					p.Retained != (c.junk[0][0] == kept[0]) {
					t.Errorf("%+v", p)
				}
			})
		})
	}
}
