package pump

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/transport"
)

func TestQuarantine(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	q, now := OpenQuarantine(root), time.Unix(1e9, 0)
	bad := func(n int) *publish {
		return &publish{message: transport.Message{Topic: "up/x", Payload: bytes.Repeat([]byte{0xff}, n)},
			positions: []spool.Pos{1}, seq: 7, stream: "x"}
	}
	for range 20 { // 20 lines of 100 kB: the last few stay
		if err := q.keep(bad(75<<10), errors.New("closed"), now); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.keep(bad(600<<10), errors.New("closed"), now); err == nil {
		t.Error("kept what does not fit")
	}
	st := q.Status()
	if st.Records != 21 || st.Lost != 1 || st.Bytes > quarantineMax || st.Bytes < quarantineMax/2 {
		t.Errorf("%+v", st)
	}
	total := int64(0)
	for _, name := range []string{quarantineFile, quarantineOld} {
		p, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		total += int64(len(p))
		for line := range bytes.Lines(p) {
			var one quarantined
			if err := json.Unmarshal(line, &one); err != nil || one.Device != "x" || len(one.Payload) != 75<<10 ||
				one.Topic != "up/x" {
				t.Fatalf("%v: %.200s", err, line)
			}
		}
	}
	if total != st.Bytes || OpenQuarantine(root).Status().Bytes != total {
		t.Errorf("%d bytes, status %+v, again %+v", total, st, OpenQuarantine(root).Status())
	}
	if err := OpenQuarantine(nil).keep(bad(1), errors.New("closed"), now); err == nil {
		t.Error("kept without a directory")
	}
}
