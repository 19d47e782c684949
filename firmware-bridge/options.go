package bridge

import (
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/discover"
	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

// Our own choices.
const (
	defaultQueue = 16
	stuckAfter   = 5 * time.Second // for a write, beyond its time on the line
	answerWithin = time.Second     // for the answer to a request
	lastSearch   = time.Second     // for the search for frames in what is left when a port was lost
)

// Frame is one frame of a device.
type Frame struct {
	Device string
	Time   time.Time // when its first byte was read
	Data   []byte    // valid until the callback returns
}

// Options of a device. Name, and Port or Select, are needed.
type Options struct {
	Name         string
	Port         string              // path of the tty, maybe a symbolic link; tcp://host:port or rfc2217://host:port
	Select       discover.Selector   // if Port is empty: which port, at whatever path it is
	Finder       *discover.Finder    // the one that all devices share; if nil, then one of its own that looks twice a second
	Baud         int                 // if zero, then 9600
	Mode         serialport.Mode     // if zero, then 8N1
	Flow         serialport.Flow     // if empty, then none
	RS485        serialport.RS485    // if zero, then a full-duplex line
	Framing      framing.Spec        // CharTime: if zero, then by Baud and Mode
	Queue        int                 // payloads that wait to be written; if zero, then 16
	WriteTimeout time.Duration       // for one payload beyond its time on the line, then [ErrStuck]; if zero, then 5 s
	Open         serialport.OpenFunc // if nil, then [serialport.Open]

	Modbus *ModbusOptions // if nil, then the port is no Modbus bus; else Framing and OnFrame have no meaning

	// OnFrame takes a frame; an error refuses it, which is counted. It is called in order, from the reader goroutine, and may
	// wait for the disk but for nothing else.
	OnFrame func(Frame) error
	// OnValues takes the values of the units of a bus; the same holds as for OnFrame.
	OnValues func(Values) error
	// Notify is called once for every change of state, in order; the end of Run is one too. It must not wait. If nil, then no
	// one is told.
	Notify func(Event)
}

func (o *Options) fill() {
	if o.Baud == 0 {
		o.Baud = serialport.DefaultBaud
	}
	o.Mode = o.Mode.OrDefault()
	if o.Framing.CharTime == 0 {
		o.Framing.CharTime = o.Mode.CharTime(o.Baud)
	}
	if o.Queue == 0 {
		o.Queue = defaultQueue
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = stuckAfter
	}
	if o.Open == nil {
		o.Open = serialport.Open
	}
	if o.Finder == nil {
		o.Finder = discover.NewFinder(discover.FinderOptions{})
	}
	if o.Notify == nil {
		o.Notify = func(Event) {}
	}
}

func (o *Options) line() serialport.Line {
	return serialport.Line{Baud: o.Baud, Mode: o.Mode, Flow: o.Flow, RS485: o.RS485}
}
