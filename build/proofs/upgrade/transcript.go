package upgrade

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// transcript is what an agent did that went on with a recorded state.
type transcript struct {
	// Topics has what came on each, one record after the other, as it came: gzip is taken off, and batches are taken
	// apart. Of state there is only that it came. Times of what is not late are those of the replay, and left out; so is
	// an epoch that began with it.
	Topics      map[string][]string `json:"topics"`
	Status      status              `json:"status"`       // at its end
	Log         []string            `json:"log"`          // what was warned of, once each
	RememberedS float64             `json:"remembered_s"` // what the path was said to bear before anything was learnt
	Twice       int                 `json:"twice"`        // commands that came a second time and reached a device
}

// told adds what a collector got.
func (t *transcript) told(prefix string, arrivals []kit.Arrival, known map[string]bool) error {
	t.Topics = map[string][]string{}
	for _, a := range arrivals {
		topic := strings.TrimPrefix(a.Topic, prefix)
		kind, _, _ := strings.Cut(topic, "/")
		switch kind {
		case "data", "reply":
			records, err := apart(a)
			if err != nil {
				return err
			}
			for _, r := range records {
				t.Topics[topic] = append(t.Topics[topic], timeless(r, known))
			}
		case "fence", "info", "stats": // ours, and those that come by the clock
		default:
			t.Topics[topic] = []string{"…"}
		}
	}
	return nil
}

// apart is the records of one publish. An entry of SenML stands alone.
func apart(a kit.Arrival) ([]string, error) {
	p := a.Payload
	if strings.HasSuffix(a.Topic, "/gz") {
		z, err := gzip.NewReader(bytes.NewReader(p))
		if err == nil {
			p, err = io.ReadAll(z)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.Topic, err)
		}
	}
	if !bytes.HasPrefix(p, []byte("[")) {
		return []string{string(p)}, nil
	}
	var items []json.RawMessage
	if err := json.Unmarshal(p, &items); err != nil {
		return nil, fmt.Errorf("%s: %w", a.Topic, err)
	}
	var all []string
	for _, item := range items {
		all = append(all, string(item))
	}
	return all, nil
}

func timeless(record string, known map[string]bool) string {
	if !strings.Contains(record, `"late":true`) {
		record = wireTime().ReplaceAllString(record, `"$1":0`)
	}
	return wireEpoch().ReplaceAllStringFunc(record, func(m string) string {
		if known[strings.Split(m, `"`)[3]] {
			return m
		}
		return `"epoch":"new"`
	})
}

// warned is what the agent's log has of level warn and above, once each and without what differs from run to run.
func warned(log string) []string {
	found := map[string]bool{}
	for line := range strings.Lines(log) {
		var e struct{ Level, Message, Device string }
		if json.Unmarshal([]byte(line), &e) != nil {
			found[strings.TrimSpace(line)] = true // a panic, or what Go says at the end of a program
			continue
		}
		if e.Level != "debug" && e.Level != "info" {
			found[strings.TrimSpace(e.Level+": "+e.Message+" "+e.Device)] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// difference is how two lists of records differ.
type difference struct {
	lost, more, elsewhere int
	note                  string // the first one
}

// compare sets what came beside what is to come. What is there, but at another place among the others, is elsewhere; what is late
// goes beside what is not, each in its order.
func compare(want, got []string) (d difference) {
	left := map[string]int{}
	for _, r := range got {
		left[r]++
	}
	say := func(format string, args ...any) {
		if d.note == "" {
			d.note = fmt.Sprintf(format, args...)
		}
	}
	isLate := func(r string) bool { return strings.Contains(r, `"late":true`) }
	came := map[bool][]string{}
	for _, r := range want {
		if left[r] == 0 {
			d.lost++
			say("missing: %.300s", r)
			continue
		}
		left[r]--
		came[isLate(r)] = append(came[isLate(r)], r)
	}
	wanted := map[string]int{}
	for _, course := range came {
		for _, r := range course {
			wanted[r]++
		}
	}
	at := map[bool]int{}
	for _, r := range got {
		if wanted[r] == 0 {
			d.more++
			say("not expected: %.300s", r)
			continue
		}
		wanted[r]--
		late := isLate(r)
		if due := came[late][at[late]]; due != r {
			d.elsewhere++
			say("where %.300s was due came %.300s", due, r)
		}
		at[late]++
	}
	return d
}
