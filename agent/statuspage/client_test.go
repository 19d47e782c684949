package statuspage

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// impostor has taken the agent's port: it begins an answer, and repeats something for ever. sent counts its bytes.
func impostor(t *testing.T, begins, repeats string) (addr string, sent *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sent = new(atomic.Int64)
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, err = http.ReadRequest(bufio.NewReader(c))
		for line := begins; err == nil; line = repeats {
			var n int
			n, err = io.WriteString(c, line)
			sent.Add(int64(n))
		}
	}()
	return l.Addr().String(), sent
}

// TestAnImpostorCannotFillTheMemoryOfStatus: linkbeat status and diag ask whoever listens there.
func TestAnImpostorCannotFillTheMemoryOfStatus(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n\r\n"
	for name, tt := range map[string]struct{ begins, repeats, want string }{
		"headers":       {"HTTP/1.1 200 OK\r\n", strings.Repeat("X-Filler: y\r\n", 100), "KiB of headers: is it linkbeat?"},
		"a status line": {"HTTP/1.1 200 ", strings.Repeat("OK", 1000), "KiB of headers: is it linkbeat?"},
		"a document":    {ok + `{"why":"`, strings.Repeat("x", 4096), "is it linkbeat?"},
		"devices":       {ok + `{"serial":{"a":{}`, strings.Repeat(`,"a":{}`, 100), "is it linkbeat?"},
		"spaces":        {ok, strings.Repeat(" ", 4096), "is it linkbeat?"},
		"an endless chunk": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", strings.Repeat("[", 4096),
			"is it linkbeat?"},
	} {
		t.Run(name, func(t *testing.T) {
			addr, sent := impostor(t, tt.begins, tt.repeats)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Fetch(t.Context(), addr)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v", err)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n-uint64(sent.Load()) > 16<<20 || sent.Load() > 32<<20 {
				t.Errorf("%d bytes were allocated, %d were sent", n, sent.Load())
			}
		})
	}
}

// TestAStatusOfManyMembersIsBounded: few bytes may stand for much memory.
func TestAStatusOfManyMembersIsBounded(t *testing.T) {
	for name, member := range map[string]string{"devices": `"%":{}`, "units": `"%":{"units":{"a":{}}}`} {
		var b strings.Builder
		b.WriteString(`{"serial":{"x":{}`)
		for i := 0; i < maxMembers-1; i++ {
			b.WriteByte(',')
			b.WriteString(strings.Replace(member, "%", string(rune('a'+i%26))+string(rune(0x400+i)), 1))
		}
		b.WriteString(`}}`)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var s Status
		err := decode(strings.NewReader(b.String()), &s)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
			t.Errorf("%s: %d bytes were allocated, %v", name, n, err)
		} else {
			t.Logf("%s: %d bytes of %d, %v", name, n, b.Len(), err)
		}
	}
}

// TestATapIsRefusedInFewWords: what an impostor says instead of a port's traffic.
func TestATapIsRefusedInFewWords(t *testing.T) {
	for _, begins := range []string{"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"} {
		addr, _ := impostor(t, begins, strings.Repeat("no: no\r\n", 100))
		err := Tap(context.Background(), addr, "meter", io.Discard)
		if err == nil || len(err.Error()) > 2*maxHeaders {
			t.Errorf("%d bytes", len(err.Error()))
		}
	}
}
