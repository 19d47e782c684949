package mcu

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// book is what the UART of the sentences sent, in all lives, as qemu has logged it.
type book struct {
	bytes    int
	right    []string // sentences with a right checksum, in order
	wrong    int      // others
	wrongLen int      // their bytes, without the \n
	torn     int      // bytes of the sentences in whose middle a plug was pulled
}

func (b *board) read(line string, upTo int) (all [][]byte, err error) {
	for life := 1; life <= upTo; life++ {
		log, err := os.ReadFile(b.log(line, life))
		if err != nil {
			return nil, err
		}
		all = append(all, log)
	}
	return all, nil
}

func (b *board) book() (k book, err error) {
	logs, err := b.read(sentences, b.life)
	if err != nil {
		return k, err
	}
	for _, log := range logs {
		k.bytes += len(log)
		for len(log) > 0 {
			line, rest, whole := bytes.Cut(log, []byte("\n"))
			switch {
			case !whole:
				k.torn += len(line)
			case sound(strings.TrimSuffix(string(line), "\r")):
				k.right = append(k.right, strings.TrimSuffix(string(line), "\r"))
			default:
				k.wrong++
				k.wrongLen += len(line)
			}
			log = rest
		}
	}
	return k, nil
}

// sound looks at the checksum of a sentence; worked out here, not by linkbeat.
func sound(s string) bool {
	body, sum, ok := strings.Cut(s, "*")
	if !ok || !strings.HasPrefix(body, "$") {
		return false
	}
	var x byte
	for _, c := range []byte(body[1:]) {
		x ^= c
	}
	return sum == fmt.Sprintf("%02X", x)
}

// arrived are the sentences at the subscriber, by (epoch, seq) once each.
func (s *scene) arrived() (all []string, tally *kit.Tally, err error) {
	tally, err = kit.Count(s.Books.Arrivals(s.Agent.Topic("up/data/" + sentences)))
	if err != nil {
		return nil, nil, err
	}
	for _, r := range tally.Records {
		if r.Text == nil {
			return nil, nil, fmt.Errorf("a record without text: %+v", r)
		}
		all = append(all, *r.Text)
	}
	return all, tally, nil
}

// counters are the numbers of telemetry among sentences.
func counters(all []string) (n []int) {
	for _, s := range all {
		rest, ok := strings.CutPrefix(s, "$LBMCU,")
		if !ok {
			continue
		}
		number, _, _ := strings.Cut(rest, ",")
		if v, err := strconv.Atoi(number); err == nil {
			n = append(n, v)
		}
	}
	return n
}

// compare counts what is missing of want in got, and what is in got and should not be: strangers, doubles, out of order.
func compare(want, got []string) (missing, strange int) {
	for _, w := range want {
		i := slices.Index(got, w)
		if i < 0 {
			missing++
			continue
		}
		strange += i
		got = got[i+1:]
	}
	return missing, strange + len(got)
}

// settle waits until the gateway has read all that the UARTs sent, and the broker has it.
func (s *scene) settle() error {
	err := s.Env.Until("the gateway to have read the last byte", patience, func() bool {
		status, err := s.Agent.Status()
		if err != nil {
			return false
		}
		logs, err := s.board.read(sentences, s.board.life)
		return err == nil && status.Serial[sentences].Read == int64(len(bytes.Join(logs, nil)))
	})
	if err != nil {
		return err
	}
	return s.Agent.Drained(patience)
}

// books closes them: all that was sent in all lives against all that arrived.
func (s *scene) books(t *kit.Table) error {
	if err := s.board.halt(); err != nil {
		return err
	}
	if err := s.settle(); err != nil {
		return err
	}
	sent, err := s.board.book()
	if err != nil {
		return err
	}
	got, tally, err := s.arrived()
	if err != nil {
		return err
	}
	missing, strange := compare(sent.right, got)
	status, err := s.Agent.Status()
	if err != nil {
		return err
	}
	d := status.Serial[sentences]
	t.Exactly("all lives: sentences that did not arrive", missing, 0, fmt.Sprintf("of %d", len(sent.right)), "")
	t.Exactly("all lives: sentences of nobody, doubled or out of order", strange, 0, "", "")
	t.Exactly("all lives: (epoch, seq) twice, with holes, or gaps", len(tally.Conflicts)+len(tally.Repeats)+len(tally.Holes)+
		len(tally.Gaps), 0, "", strings.Join(tally.Holes, "; "))
	t.Exactly("all lives: bytes that the UART sent and the gateway did not read", sent.bytes-int(d.Read), 0,
		fmt.Sprintf("of %d", sent.bytes), "")
	t.Exactly("all lives: bytes counted as bad, beside the spoiled and torn ones", int(d.Bad+d.Pending)-sent.wrongLen-sent.torn,
		0, "", fmt.Sprintf("%d spoiled, %d torn where a plug was pulled", sent.wrongLen, sent.torn))
	var unbalanced error
	if why := status.Imbalance(); why != "" {
		unbalanced = fmt.Errorf("%s", why)
	}
	t.Check("every counter of the gateway balances", unbalanced)
	return s.Agent.Term()
}
