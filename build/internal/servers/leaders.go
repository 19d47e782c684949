package servers

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// mqttStreams are those of all that MQTT keeps in JetStream that a client waits for.
func mqttStreams() []string { return []string{"$MQTT_sess", "$MQTT_msgs", "$MQTT_rmsgs"} }

// streams is what /jsz?streams=true says, as far as we look. Only the leader of a stream lists its replicas.
type streams struct {
	Accounts []struct {
		Streams []stream `json:"stream_detail"`
	} `json:"account_details"`
}

type stream struct {
	Name    string
	Cluster struct {
		Leader   string
		Replicas []struct{ Current, Offline bool }
	}
}

// led lists the streams that a node leads; ok is false when it does not answer.
func (c *Cluster) led(i int) (all []stream, ok bool) {
	var s streams
	if !c.ask(i, "/jsz?accounts=true&streams=true", &s) {
		return nil, false
	}
	for _, a := range s.Accounts {
		for _, st := range a.Streams {
			if st.Cluster.Leader == fmt.Sprintf("n%d", i) {
				all = append(all, st)
			}
		}
	}
	return all, true
}

// Whole waits until every stream that MQTT lives on has a leader and all its copies up to date: from then on any node may be
// lost. (What /healthz says of consumers is not asked: in 2.9 the private ones of a killed node stay behind for ever.)
func (c *Cluster) Whole() error {
	return c.e.Until("every stream of NATS to be kept by all nodes", natsWait, func() bool {
		good := 0
		for i := range c.Nodes {
			led, ok := c.led(i)
			if !ok {
				return false
			}
			for _, st := range led {
				if strings.Contains(strings.Join(mqttStreams(), " ")+" ", st.Name+" ") && st.copies() >= len(c.Nodes)-1 {
					good++
				}
			}
		}
		return good == len(mqttStreams())
	})
}

// copies that are up to date, the leader's own left out.
func (s stream) copies() (n int) {
	for _, r := range s.Cluster.Replicas {
		if r.Current && !r.Offline {
			n++
		}
	}
	return n
}

// Leads lists the names of the streams that a node leads.
func (c *Cluster) Leads(i int) (names []string) {
	led, _ := c.led(i)
	for _, st := range led {
		names = append(names, st.Name)
	}
	return names
}

// Lead makes a node the leader of every stream, as an operator does: whoever leads one is asked to step down until it is the
// right one.
func (c *Cluster) Lead(node int) error {
	for _, name := range mqttStreams() {
		asked := time.Time{}
		err := c.e.Until(fmt.Sprintf("node %d to lead %s", node, name), natsWait, func() bool {
			for i := range c.Nodes {
				led, _ := c.led(i)
				for _, st := range led {
					if st.Name != name {
						continue
					}
					if i == node {
						return true
					}
					if time.Since(asked) > time.Second {
						asked = time.Now()
						_ = c.stepDown(i, name) // asked again
					}
				}
			}
			return false
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// stepDown asks the leader of a stream, through a node, to hand over; it speaks just enough of NATS's protocol for that.
func (c *Cluster) stepDown(i int, name string) error {
	conn, err := kit.Dialer(c.Nodes[i].at.Netns)(c.e.Ctx, "tcp", c.client[i])
	if err != nil {
		return fmt.Errorf("step down: %w", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	_, err = fmt.Fprintf(conn,
		"CONNECT {\"verbose\":false}\r\nSUB _INBOX.lab 1\r\nPUB $JS.API.STREAM.LEADER.STEPDOWN.%s _INBOX.lab 0\r\n\r\n", name)
	if err != nil {
		return fmt.Errorf("step down: %w", err)
	}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "MSG ") {
			return nil
		}
	}
	return errors.New("step down: no answer")
}
