package serial

import (
	"testing"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
)

func TestFramersUnderNoise(t *testing.T) { Lab().Test(t) }

// The judge must say no when it should: a framer that cuts what it likes is found out.
func TestTheJudgeFindsFaults(t *testing.T) {
	c := framer{name: "x", spec: cases()[0].spec, payload: text}
	clean, err := c.play(t.Context(), 1<<16, false, 1)
	if err != nil || clean.matched != clean.sent || clean.sent < 100 || clean.lost+clean.false+int(clean.bad) > 0 {
		t.Fatalf("%+v, %v", clean, err)
	}
	f, err := framing.New(c.spec)
	if err != nil {
		t.Fatal(err)
	}
	p := &player{c: c, f: f}
	for _, data := range []string{"a", "b", "c", "d"} {
		p.waiting = append(p.waiting, sentFrame{[]byte(data), data == "c"})
	}
	p.judge([]byte("b")) // a was lost, needlessly
	p.judge([]byte("x")) // nobody sent it
	p.judge([]byte("d")) // c was lost behind noise
	if p.needless != 1 || p.false != 1 || p.lost != 2 || p.matched != 2 || p.first == "" {
		t.Errorf("%+v", p.result)
	}
}
