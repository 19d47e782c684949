package transport

import "github.com/eclipse/paho.mqtt.golang/packets"

const (
	checkSuffix    = "-p0" // of the client id of a fresh connection; probes are -p1 and up
	checkKeepalive = 60    // seconds; it lives for one round trip
)

// checkConnect is the CONNECT of a short session beside a running one of the same gateway: clean, and with a client id of its own.
func checkConnect(clientID, username, password string) *packets.ConnectPacket {
	c := cleanConnect(clientID+checkSuffix, username, password)
	c.Keepalive = checkKeepalive
	return c
}

// cleanConnect is the CONNECT of a connection of our own: a clean session.
func cleanConnect(clientID, username, password string) *packets.ConnectPacket {
	c := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	c.ProtocolName, c.ProtocolVersion = "MQTT", 4
	c.ClientIdentifier, c.CleanSession = clientID, true
	if username != "" {
		c.UsernameFlag, c.Username = true, username
	}
	if password != "" {
		c.PasswordFlag, c.Password = true, []byte(password)
	}
	return c
}
