// Command bare is the limit that `make bench-relay` compares with: nothing but paho publishing with QoS 1 and a window.
//
//	bare URL COUNT RATE WINDOW
//
// It publishes COUNT payloads of 100 bytes that begin with their Unix time in ns, RATE a second (0: as fast as the window
// allows), and prints its CPU seconds and wall seconds.
package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const (
	topic = "bare/data"
	size  = 100
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var n [3]int // count, rate, window
	if len(args) != 4 {
		return fmt.Errorf("want URL COUNT RATE WINDOW")
	}
	for i := range n {
		var err error
		if n[i], err = strconv.Atoi(args[i+1]); err != nil {
			return fmt.Errorf("argument %d: %w", i+2, err)
		}
	}
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(args[0]).SetClientID("bare").SetProtocolVersion(4).
		SetAutoReconnect(false))
	if t := c.Connect(); t.Wait() && t.Error() != nil {
		return fmt.Errorf("connect: %w", t.Error())
	}
	start := time.Now()
	if err := publish(c, n[0], n[1], n[2]); err != nil {
		return err
	}
	wall := time.Since(start)
	c.Disconnect(100)
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return fmt.Errorf("cpu time: %w", err)
	}
	fmt.Printf("%.3f %.3f\n", seconds(u.Utime)+seconds(u.Stime), wall.Seconds())
	return nil
}

// publish keeps up to window publishes in flight, oldest first.
func publish(c mqtt.Client, count, rate, window int) error {
	flight := make([]mqtt.Token, 0, window)
	start := time.Now()
	for i := range count {
		if rate > 0 {
			time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		}
		if len(flight) == window {
			if flight[0].Wait(); flight[0].Error() != nil {
				return flight[0].Error()
			}
			flight = append(flight[:0], flight[1:]...)
		}
		b := append(make([]byte, 0, size), strconv.FormatInt(time.Now().UnixNano(), 10)...)
		for len(b) < size {
			b = append(b, ' ')
		}
		flight = append(flight, c.Publish(topic, 1, false, b))
	}
	for _, t := range flight {
		if t.Wait(); t.Error() != nil {
			return t.Error()
		}
	}
	return nil
}

func seconds(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
