package serialport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

// comServer is a serial server that speaks RFC 2217 for one connection, as far as a line of 19200 baud 8N1 needs it,
// and begins with greeting.
func comServer(t *testing.T, greeting ...byte) (port string, conn <-chan *net.TCPConn) {
	t.Helper()
	address, conns := porttest.SerialServer(t)
	ready := make(chan *net.TCPConn, 1)
	go func() {
		c := <-conns
		_, _ = c.Write(append(greeting, telnetIAC, telnetDO, optionComPort))
		for buf := make([]byte, 0, 512); !bytes.Contains(buf, []byte{comControl, comRTSOn, telnetIAC, telnetSE}); {
			n, err := c.Read(buf[len(buf):cap(buf)])
			if err != nil {
				return
			}
			buf = buf[:len(buf)+n]
		}
		out := appendSub(nil, optionComPort, binary.BigEndian.AppendUint32([]byte{comAnswer + comBaud}, 19200)...)
		for command, value := range []byte{comDataSize: 8, comParity: 1, comStopSize: comStopOne, comControl: comFlowNone} {
			if value != 0 {
				out = appendSub(out, optionComPort, comAnswer+byte(command), value)
			}
		}
		_, _ = c.Write(out)
		ready <- c
	}()
	return schemeRFC2217 + address, ready
}

func TestAServerThatAltersBytesIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		greeting []byte
		refused  bool
	}{
		"agrees":                 {[]byte{telnetIAC, telnetDO, optionBinary, telnetIAC, telnetWILL, optionBinary}, false},
		"says nothing of BINARY": {nil, false},
		"takes text only":        {[]byte{telnetIAC, telnetDONT, optionBinary, telnetIAC, telnetWILL, optionBinary}, true},
		"sends text only":        {[]byte{telnetIAC, telnetDO, optionBinary, telnetIAC, telnetWONT, optionBinary}, true},
	} {
		port, _ := comServer(t, c.greeting...)
		p, err := Open(t.Context(), port, Line{Baud: 19200})
		if errors.Is(err, errNotBinary) != c.refused || !c.refused && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_ = p.Close()
		}
	}
}

func TestAnAnswerThatMetACommandIsSentBehindIt(t *testing.T) {
	port, conn := comServer(t)
	p := dialTo(t, port).(*telnetPort)
	server := porttest.Recv(t, conn, "the connection")
	p.sending.Lock() // as a command that is on its way
	set := make(chan error, 1)
	go func() { set <- p.SetLine(LineChange{Baud: 300}) }()
	const unknown = 99
	if _, err := server.Write([]byte{telnetIAC, telnetDO, unknown}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(make([]byte, 1), time.Now().Add(100*time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) ||
		!p.replies() {
		t.Fatalf("%v, %v waits", err, p.telnet.reply)
	}
	p.sending.Unlock()
	if err := porttest.Recv(t, set, "the setting"); err != nil {
		t.Fatal(err)
	}
	_ = server.SetReadDeadline(porttest.Later())
	var got []byte
	for buf := make([]byte, 64); !bytes.Contains(got, []byte{telnetIAC, telnetWONT, unknown}); {
		n, err := server.Read(buf)
		if err != nil {
			t.Fatalf("%x, %v", got, err)
		}
		got = append(got, buf[:n]...)
	}
}

// A deadline that passed while an answer went out is no silence of the device.
func TestAServerThatTakesNoAnswerIsGone(t *testing.T) {
	port, conn := comServer(t)
	p := dialTo(t, port).(*telnetPort)
	p.replyWithin = -time.Second // as if it had taken nothing since
	server := porttest.Recv(t, conn, "the connection")
	if _, err := server.Write([]byte{telnetIAC, telnetDO, 99}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(make([]byte, 1), porttest.Later()); !errors.Is(err, ErrGone) || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// The kernel tells only once what broke a connection, and the writer may be the one that hears it.
func TestWhatBrokeAConnectionIsToldToTheReaderToo(t *testing.T) {
	address, conns := porttest.SerialServer(t)
	p := dialTo(t, schemeTCP+address).(*netPort)
	server := porttest.Recv(t, conns, "the connection")
	_ = server.SetLinger(0)
	_ = server.Close() // a reset
	porttest.Eventually(t, "the reset", func() bool {
		_, err := p.unacked()
		return errors.Is(err, unix.ECONNRESET)
	})
	if _, err := p.Read(make([]byte, 1), porttest.Later()); !errors.Is(err, unix.ECONNRESET) || errors.Is(err, io.EOF) ||
		strings.Contains(err.Error(), "closed") {
		t.Errorf("%v", err)
	}
}

// TestAServerThatTalksInsteadOfAnswering sends data for as long as it is let, and no option.
func TestAServerThatTalksInsteadOfAnswering(t *testing.T) {
	for name, c := range map[string]struct {
		says string
		data bool // that a device could have sent
	}{
		"text":                     {"so many words and no option. ", true},
		"0xff as it is":            {string([]byte{telnetIAC, telnetIAC}), true},
		"what looks like a start":  {string([]byte{telnetIAC, telnetSB, optionComPort}) + strings.Repeat("x", 61), true},
		"options that are unknown": {string([]byte{telnetIAC, telnetDO, 99, telnetIAC, telnetDONT, 99}), false},
	} {
		t.Run(name, func(t *testing.T) {
			address, conns := porttest.SerialServer(t)
			dialled, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer dialled.Close()
			server := porttest.Recv(t, conns, "the connection")
			defer server.Close()
			go func() {
				for err := error(nil); err == nil; {
					_, err = io.WriteString(server, strings.Repeat(c.says, 1000))
				}
			}()
			go func() { _, _ = io.Copy(io.Discard, server) }()
			p := &telnetPort{netPort: &netPort{path: "rfc2217://x", conn: dialled.(*net.TCPConn)}, raw: make([]byte, ReadSize),
				replyWithin: negotiateTimeout}
			p.telnet.offer(optionComPort, false)
			err = p.readUntil(time.Now().Add(50*time.Millisecond), "", p.speaksComPort)
			if err == nil || strings.Contains(err.Error(), "bytes of data instead") != c.data ||
				!strings.Contains(err.Error(), "RFC 2217") {
				t.Errorf("%v", err)
			}
			if held := cap(p.rest) + cap(p.telnet.sub) + cap(p.telnet.reply); held > 32<<10 || c.data && p.early == 0 {
				t.Errorf("%d bytes are held, %d were dropped", held, p.early)
			}
		})
	}
}

// TestTheNewestOfWhatCameEarlyIsKept: a device that talks all the time does not keep its port shut.
func TestTheNewestOfWhatCameEarlyIsKept(t *testing.T) {
	early := make([]byte, 10*keptEarly)
	for i := range early {
		early[i] = byte(i / 100 % telnetIAC)
	}
	port, conn := comServer(t, early...)
	p := dialTo(t, port).(*telnetPort)
	porttest.Recv(t, conn, "the connection")
	var got []byte
	for buf := make([]byte, 2*keptEarly); len(got) < keptEarly; {
		n, err := p.Read(buf, porttest.Later())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, buf[:n]...)
	}
	if !bytes.HasSuffix(early, got) {
		t.Errorf("%d bytes that are not the last ones", len(got))
	}
	if e, _ := p.LineErrors(); e.Buffer == 0 {
		t.Error("what was dropped is not counted")
	}
}

// TestRepliesAreBounded: a server that toggles an option while we write something that it does not take.
func TestRepliesAreBounded(t *testing.T) {
	for name, toggle := range map[string][]byte{
		"asks and forbids":   {telnetIAC, telnetDO, optionBinary, telnetIAC, telnetDONT, optionBinary},
		"offers and refuses": {telnetIAC, telnetWILL, optionSGA, telnetIAC, telnetWONT, optionSGA},
	} {
		port, conn := comServer(t)
		p := dialTo(t, port).(*telnetPort)
		server := porttest.Recv(t, conn, "the connection")
		p.sending.Lock() // as a write that is stuck
		go func() {
			for err := error(nil); err == nil; {
				_, err = server.Write(bytes.Repeat(toggle, 500))
			}
		}()
		var err error
		for buf := make([]byte, 64); err == nil; {
			_, err = p.Read(buf, porttest.Later())
		}
		p.sending.Unlock()
		if !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "without end") || cap(p.telnet.reply) > 4*mostReplies {
			t.Errorf("%s: %v, %d bytes wait", name, err, cap(p.telnet.reply))
		}
	}
}
