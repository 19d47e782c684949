package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
)

// TailOptions say what to follow.
type TailOptions struct {
	Device string // one gateway; if empty, all
	Name   string // one serial device; if empty, all
}

// Item is one thing that Tail reports: exactly one of Record, Raw, Hole and Trouble is set.
type Item struct {
	Device string
	Name   string
	Record *wire.Record // a frame, or a gap that the gateway reports
	// a payload that has no records, such as one of format: raw: no number, so neither duplicates nor gaps can be seen
	Raw     []byte
	Hole    *Hole
	Trouble string // a payload that could not be read, or messages dropped because the output is slower than the data
}

// Hole is a run of numbers that did not arrive within Patience of a later one, and that no gap record explains: they were sent
// while we were not there, or are lost.
type Hole struct {
	Epoch string `json:"epoch"`
	Range
}

// Tail follows live data and calls emit for each item until ctx ends (then it returns nil) or emit returns an error. It
// returns the sums either way. The link comes back by itself; see Options.Notice.
func Tail(ctx context.Context, o Options, t TailOptions, emit func(Item) error) (Counts, error) {
	f := follower{emit: emit}
	o, err := o.withDefaults()
	if err != nil {
		return Counts{}, err
	}
	if err := checkNames(t.Device, t.Name, true); err != nil {
		return Counts{}, err
	}
	f.template = o.Topics.Data
	c, err := connect(ctx, o, dataFilters(f.template, t)...)
	if err != nil {
		return Counts{}, err
	}
	defer c.close()
	err = f.follow(ctx, c.inbox)
	sums := f.seen.Counts()
	sums.Open = f.holes.still(&f.seen)
	return sums, err
}

// follow turns what comes into items until ctx ends, then it returns nil, or until emit returns an error.
func (f *follower) follow(ctx context.Context, in *inbox) error {
	for {
		m, dropped, ok := in.takeBy(ctx, f.holes.next())
		if ctx.Err() != nil {
			return nil
		}
		if dropped > 0 {
			m := fmt.Sprintf("%d messages dropped here: the output is slower than the data; follow fewer devices", dropped)
			if err := f.emit(Item{Trouble: m}); err != nil {
				return err
			}
		}
		if ok {
			if err := f.message(m); err != nil {
				return err
			}
		}
		if err := f.judge(time.Now()); err != nil {
			return err
		}
	}
}

// judge tells what did not come within Patience.
func (f *follower) judge(now time.Time) error {
	for _, h := range f.holes.due(now) {
		for _, r := range f.seen.Missing(h.name, h.item.Hole.Epoch, h.item.Hole.Range) {
			it := h.item
			it.Hole = &Hole{Epoch: h.item.Hole.Epoch, Range: r}
			if err := f.emit(it); err != nil {
				return err
			}
		}
	}
	return nil
}

// dataFilters are the subscriptions for what t names, compressed payloads included.
func dataFilters(template string, t TailOptions) []string {
	if t.Device != "" {
		template = wire.Expand(template, "id", t.Device)
	}
	if t.Name != "" {
		template = wire.Expand(template, "name", t.Name)
	}
	plain := wire.Filter(template)
	return []string{plain, plain + wire.GzipSuffix}
}

// follower turns messages into items.
type follower struct {
	template string // of data topics
	seen     Tracker
	holes    holes
	emit     func(Item) error
}

func (f *follower) message(m message) error {
	topic, compressed := strings.CutSuffix(m.topic, wire.GzipSuffix)
	found, ok := wire.Match(f.template, topic)
	if !ok { // a device of the name "gz", or a template that ends so
		if found, ok = wire.Match(f.template, m.topic); !ok {
			return nil
		}
		compressed = false
	}
	it := Item{Device: found["id"], Name: found["name"]}
	payload := m.payload
	if compressed {
		var err error
		if payload, err = wire.Gunzip(payload, wire.MaxPayload); err != nil {
			it.Trouble = fmt.Sprintf("payload on %s cannot be read: %v", m.topic, err)
			return f.emit(it)
		}
	}
	if wire.IsEcho(payload) {
		return nil
	}
	records, err := wire.ParsePayload(payload)
	if errors.Is(err, wire.ErrMalformed) {
		it.Trouble = fmt.Sprintf("payload on %s is not taken: %v", m.topic, err)
		return f.emit(it)
	}
	if err != nil && !errors.Is(err, wire.ErrTooMuch) {
		it.Raw = payload
		return f.emit(it)
	}
	if e := f.records(it, records); e != nil {
		return e
	}
	if err != nil {
		it.Trouble = fmt.Sprintf("the rest of a payload on %s is left out: %v; set a smaller batch at the gateway", m.topic, err)
		return f.emit(it)
	}
	return nil
}

func (f *follower) records(it Item, records []wire.Record) error {
	for i := range records {
		r := &records[i]
		name := it.Device + "/" + it.Name
		seen := f.seen.See(name, *r)
		for _, hole := range seen.Holes {
			h := it
			h.Hole = &Hole{Epoch: r.Epoch, Range: hole}
			f.holes.add(h, name, time.Now())
		}
		if seen.Duplicate {
			continue
		}
		n := it
		n.Record = r
		if err := f.emit(n); err != nil {
			return err
		}
	}
	return nil
}
