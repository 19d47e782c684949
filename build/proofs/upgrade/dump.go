package upgrade

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Dump is what lies in a state directory, by file, as lines that are the same for the same inputs. Left out are times, measured
// numbers, locks, which slot of the cursor is the newer one; epochs have numbers instead of names, and with times and epochs go
// the checksums over them, which are tried. All else is there byte for byte, apart from what was added since and earlier agents
// pass over: commands.seen, the head of the journal.
func Dump(dir string) (map[string][]string, error) {
	d := dumper{epochs: map[uint32]string{}}
	all := map[string][]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "commands.seen" {
			return err
		}
		p, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err == nil {
			all[name], err = d.file(name, p)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
	return all, err
}

type dumper struct{ epochs map[uint32]string }

// epoch numbers epochs in the order in which they are met.
func (d dumper) epoch(e uint32) string {
	if d.epochs[e] == "" {
		d.epochs[e] = fmt.Sprint("epoch", len(d.epochs)+1)
	}
	return d.epochs[e]
}

func (d dumper) file(name string, p []byte) ([]string, error) {
	if text(filepath.Base(name)) && !bytes.Equal(p, resealed(p)) {
		return nil, errors.New("wrong checksum")
	}
	switch base := filepath.Base(name); {
	case strings.HasSuffix(base, ".seg"):
		return d.segment(p, filepath.Base(filepath.Dir(name)) != "replies")
	case base == "cursor":
		return cursor(p)
	case base == "meta":
		return d.meta(p)
	case base == "commands.journal":
		p = sums().ReplaceAll(timeExpires().ReplaceAll(p, []byte(`"expires":TIME`)), nil)
		lines := slices.DeleteFunc(strings.SplitAfter(string(p), "\n"), isHead)
		slices.Sort(lines) // the order after a rewrite is that of a map
		return lines, nil
	case base == "quarantine.ndjson":
		return d.quarantine(p)
	case base == "paths.json":
		rest := verdicts().ReplaceAll(p, nil)
		if len(rest) < len(p) && bytes.Contains(rest, []byte(`"paths": {}`)) {
			return nil, nil // it is written for those alone
		}
		return shape(rest), nil
	case base == "ledger.json":
		return shape(p), nil
	case strings.HasSuffix(base, "lock"):
		return nil, nil // the pid
	}
	return strings.SplitAfter(string(p), "\n"), nil
}

// The drawings: agent/spool/format.go for records, agent/spool/disk.go for the cursor, and for what stands in the
// record of a frame agent/stored.go of the commit that this was written at (a byte of kind, the time, and with bit 3 of
// kind two times of the boot).
const (
	magic      = "LBspool1"
	headBytes  = 38
	slotBytes  = 16 << 10
	cursorHead = 24
	unsynced   = 0x08
)

func sum(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }

func (d dumper) segment(p []byte, frames bool) (lines []string, err error) {
	if !bytes.HasPrefix(p, []byte(magic)) {
		return nil, errors.New("no magic")
	}
	bad := 0
	for at := len(magic); at < len(p); {
		line, n := d.record(p[at:], frames)
		if n == 0 { // the rot of the story
			bad++
			at++
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		at += n
	}
	return append(lines, fmt.Sprintf("%d bytes are no records", bad)), nil
}

// record is one record as a line, and its bytes; 0: there is none. A note of what the clocks said, a record of position 0, is no
// line: the versions before it skip it as a copy.
func (d dumper) record(p []byte, frames bool) (string, int) {
	if len(p) < headBytes {
		return "", 0
	}
	n := 8 + int(binary.BigEndian.Uint32(p[4:]))
	if n > len(p) || n < headBytes+int(p[37]) || sum(p[4:n]) != binary.BigEndian.Uint32(p) {
		return "", 0
	}
	if binary.BigEndian.Uint64(p[8:]) == 0 {
		return "", n
	}
	pos, seq, epoch := binary.BigEndian.Uint64(p[8:]), binary.BigEndian.Uint64(p[16:]), binary.BigEndian.Uint32(p[32:])
	stream, data := p[headBytes:headBytes+int(p[37])], bytes.Clone(p[headBytes+int(p[37]):n])
	head := fmt.Sprintf("%d %s/%d of %q kind %d: ", pos, d.epoch(epoch), seq, stream, p[36])
	switch {
	case p[36] == 1:
		return head + fmt.Sprintf("gap %d to %d of %s reason %d, %d bytes", binary.BigEndian.Uint64(data),
			binary.BigEndian.Uint64(data[8:]), d.epoch(binary.BigEndian.Uint32(data[16:])), data[20], len(data)), n
	case frames:
		clear(data[1:9])
		if data[0]&unsynced != 0 {
			clear(data[9:21])
		}
	}
	return head + fmt.Sprintf("%q", data), n
}

// cursor is the newer of two slots.
func cursor(p []byte) ([]string, error) {
	line, newest := "", uint64(0)
	for at := 0; at+cursorHead <= len(p); at += slotBytes {
		slot := p[at:min(at+slotBytes, len(p))]
		end := cursorHead + int(binary.BigEndian.Uint32(slot[20:]))
		if end > len(slot) || sum(slot[4:end]) != binary.BigEndian.Uint32(slot) {
			continue
		}
		if turn := binary.BigEndian.Uint64(slot[4:]); turn > newest {
			newest, line = turn, fmt.Sprintf("through %d, runs % x", binary.BigEndian.Uint64(slot[12:]), slot[cursorHead:end])
		}
	}
	if newest == 0 {
		return nil, errors.New("no good slot")
	}
	return []string{line}, nil
}

func (d dumper) meta(p []byte) ([]string, error) {
	head, body, _ := bytes.Cut(p, []byte("\n"))
	if fmt.Sprintf("%08x", sum(body)) != string(head) {
		return nil, errors.New("wrong checksum")
	}
	return []string{string(epochs().ReplaceAllFunc(body, func(m []byte) []byte {
		var e struct{ Epoch uint32 }
		_ = json.Unmarshal(fmt.Appendf(nil, "{%s}", m), &e) // the expression lets nothing else through
		return fmt.Appendf(nil, `"epoch":%s`, d.epoch(e.Epoch))
	}))}, nil
}

func sums() *regexp.Regexp { return regexp.MustCompile(`,"sum":"[0-9a-f]{8}"`) }

// isHead tells the line of a journal that later agents have before the commands, and earlier ones pass over.
func isHead(line string) bool { return strings.HasPrefix(line, `{"gone":`) }

// verdicts are what servers deliver, which later agents have in paths.json, and earlier ones pass over.
func verdicts() *regexp.Regexp { return regexp.MustCompile(`(?s),\n "verdicts": \{.*?\n \}`) }

func epochs() *regexp.Regexp { return regexp.MustCompile(`"epoch":\d+`) }

// quarantine lines hold the payload as base64.
func (d dumper) quarantine(p []byte) (lines []string, err error) {
	for line := range bytes.Lines(p) {
		var q struct{ Payload []byte }
		if err := json.Unmarshal(line, &q); err != nil {
			return nil, err
		}
		text := quarantinedAt().ReplaceAll(line, []byte(`"at":TIME`))
		text = quarantinedPayload().ReplaceAll(text, []byte(`"payload":…`))
		payload := wireTime().ReplaceAll(wireEpoch().ReplaceAll(q.Payload, []byte(`"epoch":"…"`)), []byte(`"$1":TIME`))
		lines = append(lines, string(text), fmt.Sprintf("%q", payload))
	}
	return lines, nil
}

func quarantinedAt() *regexp.Regexp      { return regexp.MustCompile(`"at":\d+`) }
func quarantinedPayload() *regexp.Regexp { return regexp.MustCompile(`"payload":"[^"]*"`) }
func wireTime() *regexp.Regexp           { return regexp.MustCompile(`"(ts|bt)":[0-9.]+`) }
func wireEpoch() *regexp.Regexp          { return regexp.MustCompile(`"epoch":"[0-9a-f]{8}"`) }

// shape is a document of measured numbers: every line once, without its number, its day, and what else depends on how long
// something took: the interface that is known by then, and whether a probe was late.
func shape(p []byte) []string {
	var lines []string
	for line := range strings.Lines(string(p)) {
		if strings.Contains(line, `"failing_s"`) || strings.Contains(line, `"sum"`) {
			continue
		}
		line = measuredDay().ReplaceAllString(line, `"DAY"`)
		line = measuredWord().ReplaceAllString(line, `"WORD"`)
		if strings.Contains(line, `"unsynced": true`) { // whether NTP keeps the clock of the machine that tells the story
			continue
		}
		lines = append(lines, strings.TrimSuffix(strings.TrimRight(measured().ReplaceAllString(line, ": N"), "\n"), ","))
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

func measured() *regexp.Regexp { return regexp.MustCompile(`: [0-9.e+-]+`) }
func measuredWord() *regexp.Regexp {
	return regexp.MustCompile(`"(lo|unknown|strict|loose)"`)
}
func measuredDay() *regexp.Regexp { return regexp.MustCompile(`"\d{4}-\d\d-\d\d"`) }
