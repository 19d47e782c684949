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
