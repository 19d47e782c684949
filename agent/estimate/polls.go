package estimate

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/config"
)

// changes is the assumed part of the polls of a unit with report: change that are published. A document does not say it.
const changes = 0.1

// stream is publishes of one size.
type stream struct {
	count float64 // a month
	size  int
}

// polls is what the units of a bus publish: one record for each poll of the registers that have one period.
func (p packets) polls(d *config.SerialDevice) (all []stream) {
	for _, name := range slices.Sorted(maps.Keys(d.Units)) {
		u := d.Units[name]
		groups := map[time.Duration]map[string]*config.Register{}
		for r, reg := range u.Registers {
			every := u.Every.Std()
			if reg.Every > 0 {
				every = reg.Every.Std()
			}
			if reg.WriteOnly {
				continue
			}
			if groups[every] == nil {
				groups[every] = map[string]*config.Register{}
			}
			groups[every][r] = reg
		}
		times := slices.Collect(maps.Keys(groups))
		sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
		for _, every := range times {
			rate := 1 / every.Seconds()
			if u.Report == "change" {
				rate *= changes
			}
			all = append(all, p.pollsOf(name, d, groups[every], rate))
		}
	}
	return all
}

func (p packets) pollsOf(unit string, d *config.SerialDevice, registers map[string]*config.Register, rate float64) stream {
	topic := wire.Expand(p.topics.Data, "name", unit)
	n := 1
	if d.Batch.On() {
		n = batchOf(d.Batch.Resolved(), p.d.Spool.LongestBatch(), len(p.record(unit, d, registers, 0)), rate)
	}
	var records [][]byte
	for i := range n {
		records = append(records, p.record(unit, d, registers, i))
	}
	payload := d.PayloadFormat().Single(records[0])
	if d.Batch.On() {
		payload = d.PayloadFormat().Join(nil, records...)
	}
	if d.Compress == "gzip" {
		topic, payload = topic+wire.GzipSuffix, wire.Gzip(payload)
	}
	return stream{rate * month.Seconds() / float64(n), publish(topic, len(payload), 1)}
}

// record is what a poll says, with values as long as they usually are.
func (p packets) record(unit string, d *config.SerialDevice, registers map[string]*config.Register, n int) []byte {
	r := wire.DeviceRecord{Record: emptyRecord(n), Gateway: idOf(p.d), Name: unit, Units: map[string]string{}}
	r.Values = map[string]json.RawMessage{}
	for name, reg := range registers {
		r.Units[name] = reg.Unit
		switch reg.Type {
		case "bit":
			r.Values[name] = json.RawMessage("false")
		case "string":
			r.Values[name] = fmt.Appendf(nil, "%q", strings.Repeat("x", reg.Count))
		default:
			r.Values[name] = fmt.Appendf(nil, "%d.%d", 100+(n*37+len(name)*11)%900, n%10)
		}
	}
	return d.PayloadFormat().Append(nil, r)
}
