package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/statuspage"
)

// serve answers on the socket of a folder as the agent id, which has that state directory.
func serve(t *testing.T, folder, id, stateDir string) *Listener {
	t.Helper()
	l := listening(t, folder)
	page := statuspage.New(statuspage.Options{Status: func() statuspage.Status { return statuspage.Status{ID: id} },
		Healthy: func() error { return nil }})
	s := statuspage.NewServer(page.LocalHandler(statuspage.Local{StateDir: func() string { return stateDir },
		Tap: func(string, func([]byte)) (func(), <-chan struct{}, bool) { return nil, nil, false },
		Reload: func(context.Context) statuspage.Reloaded {
			return statuspage.Reloaded{Changes: []string{"log.level: info \x1b[2Jnow debug"}}
		},
		Reconnect: func(context.Context) statuspage.Reconnected { return statuspage.Reconnected{Done: "connected anew"} }}),
		statuspage.ServerOptions{})
	go func() { _ = s.Serve(l.Listener) }()
	t.Cleanup(s.Close)
	return l
}

// fakePage answers /status on TCP as somebody else.
func fakePage(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"id":"fake","uplink":{"state":"up"}}`)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// Whoever took the TCP port first is not asked while the agent's socket is there.
func TestSocketComesBeforeTCP(t *testing.T) {
	folder := t.TempDir()
	l := serve(t, folder, "gw-7", folder)
	w := Where{Sockets: []string{l.Path}, Listen: fakePage(t), StateDir: folder, Sure: true,
		Say: func(text string) { t.Errorf("said: %s", text) }}
	if s, err := w.Status(t.Context()); err != nil || s.ID != "gw-7" {
		t.Errorf("%+v, %v", s, err)
	}
	if said, err := w.Reconnect(t.Context()); err != nil || said != "connected anew" {
		t.Errorf("%q, %v", said, err)
	}
	if r, err := w.Reload(t.Context()); err != nil || len(r.Changes) != 1 || strings.Contains(r.Changes[0], "\x1b") {
		t.Errorf("%+v, %v", r, err)
	}
	if err := w.Tap(t.Context(), "nobody", io.Discard); err == nil ||
		!strings.Contains(err.Error(), `device "nobody": no such device`) {
		t.Errorf("%v", err)
	}
}

func TestTCPIsAskedWhenThereIsNoSocketAndItIsSaid(t *testing.T) {
	var said []string
	gone := filepath.Join(t.TempDir(), name)
	w := Where{Sockets: []string{gone}, Listen: fakePage(t), Say: func(text string) { said = append(said, text) }}
	if s, err := w.Status(t.Context()); err != nil || s.ID != "fake" {
		t.Errorf("%+v, %v", s, err)
	}
	if len(said) != 1 || !strings.Contains(said[0], "asked over TCP on "+w.Listen) ||
		!strings.Contains(said[0], gone+" is not there") {
		t.Errorf("%q", said)
	}
	// What acts never goes over TCP.
	if _, err := w.Reload(t.Context()); !errors.Is(err, ErrNoAgent) || !strings.Contains(err.Error(), "linkbeat run") {
		t.Errorf("%v", err)
	}
	if _, err := w.Reconnect(t.Context()); !errors.Is(err, ErrNoAgent) {
		t.Errorf("%v", err)
	}
	w.Listen = "127.0.0.1:1"
	if _, err := w.Status(t.Context()); !errors.Is(err, ErrNoAgent) || !strings.Contains(err.Error(), "no agent on 127.0.0.1:1") {
		t.Errorf("%v", err)
	}
}

// Two agents on one machine: the one whose state directory is not the document's is passed over, and does nothing.
func TestTheAgentThatIsMeantIsAsked(t *testing.T) {
	system, own := t.TempDir(), t.TempDir()
	other, ours := serve(t, system, "other", "/var/lib/other"), serve(t, own, "ours", own)
	w := Where{Sockets: []string{other.Path, ours.Path}, StateDir: own + "/", Sure: true}
	if s, err := w.Status(t.Context()); err != nil || s.ID != "ours" {
		t.Errorf("%+v, %v", s, err)
	}
	if err := ours.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Reload(t.Context()); !errors.Is(err, ErrNoAgent) ||
		!strings.Contains(err.Error(), "its state_dir is /var/lib/other") {
		t.Errorf("%v", err)
	}
	w.Sure = false // no document could be read
	if s, err := w.Status(t.Context()); err != nil || s.ID != "other" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestPathThatIsTooLongIsSaid(t *testing.T) {
	folder := filepath.Join(t.TempDir(), strings.Repeat("long", 20), strings.Repeat("er", 30))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(folder); err == nil || !strings.Contains(err.Error(), "at most 107: give the agent a shorter state_dir") {
		t.Errorf("%v", err)
	}
	fits := filepath.Join(t.TempDir(), "x")
	fits += strings.Repeat("x", longest-len(fits)-len("/"+name))
	if err := os.Mkdir(fits, 0o700); err != nil {
		t.Fatal(err)
	}
	l := serve(t, fits, "fits", fits)
	if s, err := (Where{Sockets: []string{l.Path}, StateDir: fits, Sure: true}).Status(t.Context()); err != nil ||
		s.ID != "fits" {
		t.Errorf("%d bytes: %+v, %v", len(l.Path), s, err)
	}
}

func TestWhatIsLeftOverIsSaid(t *testing.T) {
	folder := t.TempDir()
	dead, err := net.Listen("unix", filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = dead.Close()
	w := Where{Sockets: []string{filepath.Join(folder, name), filepath.Join(folder, name, name)}}
	if _, err := w.Status(t.Context()); !errors.Is(err, ErrNoAgent) ||
		!strings.Contains(err.Error(), "left over from an agent that has ended") {
		t.Errorf("%v", err)
	}
}

func TestWhoElseAnswersIsSaid(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	w := Where{Listen: strings.TrimPrefix(other.URL, "http://")}
	if _, err := w.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "is it linkbeat?") {
		t.Fatalf("%v", err)
	}
}

func TestAskingEndsWithItsContext(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := (Where{Listen: silent.Addr().String()}).Status(ctx); err == nil {
		t.Error("an answer of nobody")
	}
}

// An agent that takes its time, as over a reconnect, is there: who interrupts it is not told to start one.
func TestAnInterruptionIsNotTakenForNoAgent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "linkbeat.sock")
	silent, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if conn, err := silent.Accept(); err == nil {
			defer conn.Close()
			_, _ = conn.Read(make([]byte, 1))
			cancel()
			<-t.Context().Done()
		}
	}()
	_, err = (Where{Sockets: []string{path}}).Status(ctx)
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrNoAgent) || !strings.Contains(err.Error(), "interrupted") {
		t.Error(err)
	}
}

// Who answers may be anybody: what is read of an answer has an end.
func TestAnswersAreBounded(t *testing.T) {
	for what, endless := range map[string]string{"headers": "X: y\r\n", "one header": "y", "a document": "", "devices": `,"a":{}`,
		"a chunk": "[[[["} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		sent := make(chan int)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				close(sent)
				return
			}
			defer conn.Close()
			head := "HTTP/1.1 200 OK\r\n"
			switch what {
			case "a document":
				head, endless = head+"\r\n{\"id\":\"", "y"
			case "devices":
				head += "\r\n{\"serial\":{\"a\":{}"
			case "a chunk":
				head += "Transfer-Encoding: chunked\r\n\r\nfffffff\r\n"
			}
			n, err := io.WriteString(conn, head)
			for block := []byte(strings.Repeat(endless, 1<<10)); err == nil && n < 64<<20; {
				var more int
				more, err = conn.Write(block)
				n += more
			}
			sent <- n
		}()
		if _, err := (Where{Listen: l.Addr().String()}).Status(t.Context()); err == nil {
			t.Errorf("%s: a status", what)
		}
		if n := <-sent; n > 32<<20 { // what the kernel holds is sent too
			t.Errorf("%s: %d bytes were taken", what, n)
		}
		_ = l.Close()
	}
}

func TestReachable(t *testing.T) {
	for listen, want := range map[string]string{":8077": "127.0.0.1:8077", "0.0.0.0:8077": "127.0.0.1:8077",
		"[::]:8077":        "[::1]:8077",
		"192.168.1.5:8077": "192.168.1.5:8077", "localhost:8077": "localhost:8077", "nonsense": "nonsense"} {
		if got := reachable(listen); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
}

// Tables as Linux prints them on a little-endian machine; on the others the words are swapped, so that it is skipped there.
func TestWhoAnswers(t *testing.T) {
	if spelt(netip.MustParseAddrPort("127.0.0.1:8077")) != "0000000000000000FFFF00000100007F:1F8D" {
		t.Skip("a big-endian machine")
	}
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	line := func(local, remote, state string, uid, inode int) string {
		return fmt.Sprintf("   0: %s %s %s 00000000:00000000 00:00000000 00000000 %5d        0 %d 1 0000000000000000 100\n",
			local, remote, state, uid, inode)
	}
	const page, us, nobody = "0100007F:1F8D", "0100007F:C000", "00000000:0000"
	const page6, us6, nobody6 = "0000000000000000FFFF00000100007F:1F8D", "0000000000000000FFFF00000100007F:C000",
		"00000000000000000000000000000000:0000"
	for name, c := range map[string]struct {
		table string
		want  answerer
	}{
		"accepted": {line(page, us, "01", 1000, 77), answerer{uid: 1000, known: true}},
		"accepted, of another listener": {line(page, nobody, "0A", 0, 5) + line(page, us, "01", 1000, 77),
			answerer{uid: 1000, known: true}},
		"not accepted yet": {line(page, nobody, "0A", 1000, 5) + line(page, us, "01", 0, 0),
			answerer{uid: 1000, known: true}},
		"closed, and the listener too": {line(page, us, "05", 0, 0), answerer{gone: true}},
		"every address":                {line("00000000:1F8D", nobody, "0A", 33, 5), answerer{uid: 33, known: true}},
		"the nearer listener": {line("00000000:1F8D", nobody, "0A", 33, 5) + line(page, nobody, "0A", 34, 6),
			answerer{uid: 34, known: true}},
		"another port":             {line("0100007F:1F8E", nobody, "0A", 33, 5), answerer{}},
		"our own end":              {line(us, page, "01", 500, 9), answerer{}},
		"both families":            {line(page6, us6, "01", 1000, 77), answerer{uid: 1000, known: true}},
		"both families, listening": {line(nobody6[:32]+":1F8D", nobody6, "0A", 7, 77), answerer{uid: 7, known: true}},
		"nonsense":                 {"a b c d e f g h i j\n\n", answerer{}},
	} {
		got := whoAnswers(netip.MustParseAddrPort("127.0.0.1:49152"), netip.MustParseAddrPort("127.0.0.1:8077"),
			strings.NewReader(head+c.table))
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
