package operator

import "github.com/linkbeat/linkbeat/agent/wire"

// input is what is for the port, in order: bytes, or a change of the line, or the wish to leave.
type input struct {
	data []byte
	line wire.ConsoleLine
	left bool
}

func (i input) message() wire.ConsoleDown {
	if i.data == nil {
		return wire.ConsoleDown{Op: wire.ConsoleSet, ConsoleLine: i.line}
	}
	return wire.ConsoleDown{Op: wire.ConsoleData, Data: i.data}
}

// window is what is for the port: what waits, and what was sent and the gateway has not dealt with. While that is as much as may
// be, what waits grows together, so that many small pieces do not make many messages.
type window struct {
	most    int // bytes in a message; ConsoleMessages of them are no more than ConsoleWindow
	room    int // bytes that may wait
	waiting []input
	wait    int     // bytes in waiting
	total   int64   // bytes sent
	unacked []int64 // of each message sent the total with it
}

// add puts i behind what waits.
func (w *window) add(i input) {
	w.wait += len(i.data)
	if n := len(w.waiting); n > 0 && i.data != nil {
		if last := &w.waiting[n-1]; last.data != nil && len(last.data)+len(i.data) <= w.most {
			last.data = append(last.data, i.data...)
			return
		}
	}
	w.waiting = append(w.waiting, i)
}

// stuffed is true when nothing more should be added.
func (w *window) stuffed() bool { return w.wait >= w.room }

// empty is true when all was sent and dealt with.
func (w *window) empty(taken int64) bool { return len(w.waiting) == 0 && taken >= w.total }

// next is what may be sent now; the wish to leave waits for nothing but what stands before it in order.
func (w *window) next(taken int64) (i input, ok bool) {
	for len(w.unacked) > 0 && w.unacked[0] <= taken {
		w.unacked = w.unacked[1:]
	}
	if len(w.waiting) == 0 {
		return i, false
	}
	i = w.waiting[0]
	full := len(w.unacked) >= wire.ConsoleMessages
	if last := w.waiting[len(w.waiting)-1]; full && last.left {
		return last, true // what it would wait for may never come
	}
	if i.data != nil && full {
		return input{}, false
	}
	w.waiting = w.waiting[1:]
	if w.wait -= len(i.data); i.data != nil {
		w.total += int64(len(i.data))
		w.unacked = append(w.unacked, w.total)
	}
	return i, true
}
