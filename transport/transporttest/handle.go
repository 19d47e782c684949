package transporttest

import (
	"errors"
	"slices"
	"time"
)

// handle carries out one packet; an error ends the connection.
func (c *client) handle(first byte, body []byte) error {
	if (c.session == nil) != (first&0xf0 == typeConnect) {
		return errMalformed // [MQTT-3.1.0-1], [MQTT-3.1.0-2]
	}
	c.b.mu.Lock()
	c.b.heard[c.hello.ClientID] = time.Now()
	c.b.mu.Unlock()
	f := fields{rest: body}
	switch first & 0xf0 {
	case typeConnect:
		return c.connect(body)
	case typePublish:
		return c.publish(first, body)
	case typePuback:
		c.b.mu.Lock()
		defer c.b.mu.Unlock()
		c.session.acked(f.number())
	case typePubrec: // of a message that a test made up
	case typePubrel:
		c.push(appendPacket(nil, typePubcomp, number(f.number())))
	case typePubcomp:
		id := f.number()
		c.b.mu.Lock()
		defer c.b.mu.Unlock()
		c.session.releases = slices.DeleteFunc(c.session.releases, func(open uint16) bool { return open == id })
	case typeSubscribe:
		return c.subscribe(&f)
	case typeUnsubscribe:
		return c.unsubscribe(&f)
	case typePingreq:
		c.b.mu.Lock()
		c.b.pings[c.hello.ClientID]++
		c.b.mu.Unlock()
		c.push([]byte{typePingresp, 0})
	case typeDisconnect:
		return errDisconnect
	default:
		return errMalformed
	}
	return nil
}

func (c *client) connect(body []byte) error {
	hello, err := parseConnect(body)
	if err != nil {
		return err
	}
	code := Accepted
	if c.b.hooks.OnConnect != nil {
		code = c.b.hooks.OnConnect(hello)
	}
	c.hello = hello
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	c.b.connects = append(c.b.connects, hello)
	if code == HangUpInstead {
		return errors.New("not even refused")
	}
	if code != Accepted {
		// Written at once, since the connection ends here; the buffer of a new connection takes four bytes.
		_, _ = c.conn.Write([]byte{typeConnack, 2, 0, code})
		return errors.New("refused")
	}
	present := c.b.open(c)
	c.push([]byte{typeConnack, 2, present, 0})
	c.session.release()
	c.session.flush()
	return nil
}

// open gives c its session, an old one where there is one, and takes it from whoever has it [MQTT-3.1.4-2]. It returns the
// Session Present flag; mu is held.
func (b *Broker) open(c *client) (present byte) {
	id := c.hello.ClientID
	s := b.sessions[id]
	if s != nil && s.on != nil {
		old := s.on
		s.on = nil
		b.publishWill(old, nil)
		_ = old.conn.Close()
	}
	if s == nil || s.clean || c.hello.Clean {
		s = &session{topics: map[string]byte{}}
		b.sessions[id] = s
	} else {
		present = 1
	}
	for i := range s.queue {
		s.queue[i].sent = false
	}
	s.clean, s.on, c.session = c.hello.Clean, c, s
	return present
}

func (c *client) publish(first byte, body []byte) error {
	m, id, err := parsePublish(first, body)
	if err != nil {
		return err
	}
	m.From = c.hello.ClientID
	answer := Take
	if c.b.hooks.OnPublish != nil {
		answer = c.b.hooks.OnPublish(c.hello.ClientID, m)
	}
	if answer == HangUp {
		return errors.New("publish denied")
	}
	if answer == Drop {
		return nil
	}
	c.b.mu.Lock()
	if c.b.published = append(c.b.published, m); answer != Swallow {
		c.b.route(m)
	}
	c.b.mu.Unlock()
	if m.QoS == 1 && answer != Mute {
		c.puback(m, id)
	}
	return nil
}

func (c *client) puback(m Message, id uint16) {
	send := func() { c.push(appendPacket(nil, typePuback, number(id))) }
	if c.b.hooks.OnPuback == nil {
		send()
		return
	}
	c.b.hooks.OnPuback(c.hello.ClientID, m, send)
}

// answers tells whether a SUBSCRIBE or UNSUBSCRIBE is answered.
func (c *client) answers() bool {
	return c.b.hooks.OnSuback == nil || c.b.hooks.OnSuback(c.hello.ClientID)
}

func (c *client) subscribe(f *fields) error {
	id := f.number()
	var filters []string
	var codes []byte
	for len(f.rest) > 0 {
		filter, qos := f.text(), min(f.byte(), 1)
		if c.b.hooks.OnSubscribe != nil {
			if code := c.b.hooks.OnSubscribe(c.hello.ClientID, filter); code == SubscriptionFailed {
				qos = code
			} else {
				qos = min(qos, code)
			}
		}
		filters, codes = append(filters, filter), append(codes, qos)
	}
	if f.bad || len(filters) == 0 {
		return errMalformed // [MQTT-3.8.3-3]
	}
	answered := c.answers()
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	if answered {
		c.push(appendPacket(nil, typeSuback, number(id), codes))
	}
	for i, filter := range filters {
		if codes[i] != SubscriptionFailed {
			c.session.topics[filter] = codes[i]
			c.b.sendRetained(c.session, filter, codes[i])
		}
	}
	return nil
}

// sendRetained sends what is kept under filter; mu is held.
func (b *Broker) sendRetained(s *session, filter string, qos byte) {
	for topic, m := range b.retained {
		if matches(filter, topic) {
			s.deliver(m, qos)
		}
	}
}

func (c *client) unsubscribe(f *fields) error {
	id, answered := f.number(), c.answers()
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	for len(f.rest) > 0 {
		delete(c.session.topics, f.text())
	}
	if f.bad {
		return errMalformed
	}
	if answered {
		c.push(appendPacket(nil, typeUnsuback, number(id)))
	}
	return nil
}
