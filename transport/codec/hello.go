package codec

import (
	"crypto/rand"
	"encoding/hex"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// CheckKeepalive is what a short session says in CONNECT, in seconds: it lives for a few round trips.
const CheckKeepalive = 60

const checkSuffix = "-p0" // of the client id of a short session; probes are -p1 and up

// CheckID is the client id of a short session beside that of a gateway.
func CheckID(clientID string) string { return clientID + checkSuffix }

// CheckConnect is the CONNECT of a short session beside a running one of the same gateway: clean, and with a client id of its
// own.
func CheckConnect(clientID, username, password string) *packets.ConnectPacket {
	c := CleanConnect(CheckID(clientID), username, password)
	c.Keepalive = CheckKeepalive
	return c
}

// CleanConnect is the CONNECT of a connection of our own: a clean session, without a will. Empty names are left out.
func CleanConnect(clientID, username, password string) *packets.ConnectPacket {
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

// Nonce is text that no one else sends: 16 hex digits.
func Nonce() []byte {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.AppendEncode(nil, b[:])
}
