package diagnose

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/transport/brokertest"
	"github.com/linkbeat/linkbeat/transport/brokerurl"
	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/netdial"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

const probeTopic = "lb/gw-1/dn/probe/0"

// asRun is a diagnosis of addr that asks for what run asks for.
func asRun(addr string) Diagnosis {
	return Diagnosis{Server: netdial.Server{URL: brokerurl.URL("mqtt://" + addr)}, SessionID: session, Asks: lasting(),
		Size: 4352, Filters: []string{"lb/gw-1/dn/#"}, Topics: echoTopics("data", "log"), Probe: probeTopic}
}

// left tells what a broker still has of us: a session, and what it keeps on the probe topic.
func left(t *testing.T, addr string) (present, kept bool) {
	t.Helper()
	dial := func(id string, lasting bool) (net.Conn, byte) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		hello := codec.CleanConnect(id, "", "")
		hello.CleanSession = !lasting
		var ack [4]byte
		if err := hello.Write(c); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, ack[:]); err != nil {
			t.Fatal(err)
		}
		return c, ack[2]
	}
	c, flags := dial(session, true)
	_ = c.Close()
	c, _ = dial("somebody", false)
	defer c.Close()
	if _, err := c.Write([]byte("\x82\x17\x00\x01\x00\x12" + probeTopic + "\x00\xc0\x00")); err != nil { // SUBSCRIBE, PINGREQ
		t.Fatal(err)
	}
	var all []byte
	for buf := make([]byte, 1<<10); !bytes.HasSuffix(all, []byte("\xd0\x00")); {
		n, err := c.Read(buf)
		if all = append(all, buf[:n]...); err != nil {
			t.Fatal(err)
		}
	}
	return flags == 1, bytes.Contains(all, []byte(probeTopic))
}

func config(line string) func(int, string) string {
	return func(port int, dir string) string { return brokertest.Plain(port, dir) + line + "\n" }
}

func TestDiagnosisAsksForWhatRunAsksFor(t *testing.T) {
	const all = "tcp, connect, subscribe, retained, size, topics"
	for name, c := range map[string]struct {
		config func(int, string) string
		front  *brokertest.Front
		names  string
		fault  map[string]Fault
		says   map[string]string
	}{
		"a good broker": {brokertest.Plain, nil, all, nil, map[string]string{
			"connect":  "with a keepalive of 19m30s, clean_session: false, a will that is retained",
			"retained": "is kept", "size": "4352 bytes passes (asked over MQTT 5)",
			"topics": "2 topics (data, log): each comes back (asked over MQTT 5)"}},
		"without MQTT 5": {brokertest.Plain, &brokertest.Front{Old: true}, all, nil, map[string]string{
			"size": "4352 bytes passes", "topics": "2 topics (data, log): each comes back"}},
		"no retained messages": {config("retain_available false"), nil, "tcp, connect, subscribe, size, topics",
			map[string]Fault{"connect": FaultRetain}, map[string]string{"connect": "but not with a will that is retained: "}},
		"message_size_limit": {config("message_size_limit 1000"), nil, all, map[string]Fault{"size": FaultSize},
			map[string]string{"size": "4352 bytes is refused (reason 0x95); one of 544 passes"}},
		"message_size_limit, without MQTT 5": {config("message_size_limit 1000"), &brokertest.Front{Old: true}, all,
			map[string]Fault{"size": FaultSize},
			map[string]string{"size": "4352 bytes is acknowledged and does not come back; one of 544 passes"}},
		"closes at a large message": {config("max_packet_size 1500"), nil, all, map[string]Fault{"size": FaultSize},
			map[string]string{"size": "one of 1088 passes"}},
		"a retained publish is closed at": {brokertest.Plain, &brokertest.Front{Retained: func(string) brokertest.Deed {
			return brokertest.HangUp
		}}, all, map[string]Fault{"retained": FaultRetain}, map[string]string{"retained": "closes the connection at a retained"}},
		"any publish on the probe topic is closed at": {brokertest.Plain, &brokertest.Front{
			Publish: func(_, topic string) brokertest.Deed {
				if topic == probeTopic {
					return brokertest.HangUp
				}
				return brokertest.Pass
			}}, all, nil, map[string]string{"retained": "nobody can tell", "size": "not known"}},
		"no will": {brokertest.Plain, &brokertest.Front{Connect: func(c brokertest.Connect) bool { return !c.Will }},
			all, map[string]Fault{"connect": FaultWill}, map[string]string{"connect": "but not with a will: "}},
		"no long keepalive": {brokertest.Plain, &brokertest.Front{Connect: func(c brokertest.Connect) bool {
			return c.Keepalive <= 1160
		}}, all, map[string]Fault{"connect": FaultKeepalive},
			map[string]string{"connect": "but not with a keepalive of 19m30s: "}},
		"no lasting sessions": {brokertest.Plain, &brokertest.Front{Connect: func(c brokertest.Connect) bool { return c.Clean }},
			all, map[string]Fault{"connect": FaultLasting}, map[string]string{"connect": "but not with clean_session: false: "}},
		"neither of both": {brokertest.Plain, &brokertest.Front{Connect: func(c brokertest.Connect) bool {
			return c.Clean && c.Keepalive <= 60
		}}, all, map[string]Fault{"connect": FaultKeepalive},
			map[string]string{"connect": "a keepalive of 19m30s, nor with clean_session: false"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := brokertest.Start(t, c.config)
			addr := m.Addr()
			if c.front != nil {
				addr = c.front.Listen(t, addr)
			}
			steps, names := diagnosed(t, asRun(addr))
			if names != c.names {
				t.Errorf("steps: %s\nwant: %s", names, c.names)
			}
			for step, s := range steps {
				if s.Fault != c.fault[step] {
					t.Errorf("%s: fault %q, want %q", step, s.Fault, c.fault[step])
				}
				if !strings.Contains(s.Text, c.says[step]) {
					t.Errorf("%s: %q does not say %q", step, s.Text, c.says[step])
				}
			}
			if present, kept := left(t, m.Addr()); present || kept {
				t.Errorf("left behind: a session %v, a message %v", present, kept)
			}
		})
	}
}

// TestAnInterruptedDiagnosisLeavesNothing: wherever a signal comes, and where the process is killed, which the broker sees as an
// end without DISCONNECT.
func TestAnInterruptedDiagnosisLeavesNothing(t *testing.T) {
	for _, at := range []string{StepTCP, StepConnect, StepSubscribe, StepRetained, StepSize} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			m := brokertest.Start(t, brokertest.Plain)
			d := asRun(m.Addr())
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			d.Report = func(s Step) {
				if s.Name == at {
					stop()
				}
			}
			if _, err := d.Run(ctx); err != nil {
				t.Fatal(err)
			}
			if present, kept := left(t, m.Addr()); present || kept {
				t.Errorf("left behind: a session %v, a message %v", present, kept)
			}
		})
	}
}

// TestAKilledDiagnosisLeavesNoMessage: its will is empty, and so makes the server forget.
func TestAKilledDiagnosisLeavesNoMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := transporttest.NewNetwork()
		broker := transporttest.NewBroker(transporttest.Hooks{})
		l, err := n.Listen("192.0.2.1:1883")
		if err != nil {
			t.Fatal(err)
		}
		broker.Serve(l)
		defer n.Close()
		defer broker.Close()
		r := &running{Diagnosis: asRun("192.0.2.1:1883")}
		if r.e, err = netdial.NewEndpoint(r.Server); err != nil {
			t.Fatal(err)
		}
		conn, err := n.Dial(t.Context(), "tcp", "192.0.2.1:1883")
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(conn)
		if err := r.greet(t.Context(), c, r.Asks); err != nil {
			t.Fatal(err)
		}
		id, err := c.Retain(probeTopic, echoPayload(), patience)
		if err == nil {
			err = (&waiting{c: c}).acked(t.Context(), id)
		}
		if _, kept := broker.Retained(probeTopic); err != nil || !kept {
			t.Fatalf("not kept: %v", err)
		}
		c.Close()
		synctest.Wait()
		if m, kept := broker.Retained(probeTopic); kept {
			t.Errorf("left behind: %+v", m)
		}
	})
}

// TestDiagnosisIsQuick: topics are asked side by side, also where nothing can be heard.
func TestDiagnosisIsQuick(t *testing.T) {
	m := brokertest.Start(t, brokertest.ACL("topic write lb/gw-1/#\n"))
	d := asRun(m.Addr())
	d.Size, d.Topics = 0, nil
	for i := range 12 {
		d.Topics = append(d.Topics, EchoTopic{Class: "data", Topic: fmt.Sprintf("lb/gw-1/up/data/%d", i),
			Other: fmt.Sprintf("lb/%s/up/data/%d", session, i)})
	}
	start := time.Now()
	steps, names := diagnosed(t, d)
	if s := steps[StepEcho]; time.Since(start) > 5*time.Second || len(s.Topics) != 12 || s.Verdict != EchoOK {
		t.Errorf("%s: %+v", names, s)
	}
}
