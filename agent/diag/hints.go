package diag

import "github.com/linkbeat/linkbeat/transport/diagnose"

// Hints outside the table.
const (
	hintBadProxy = "write uplink.proxy (or HTTPS_PROXY) as http://host:port or socks5://host:port"
	hintUnheard  = "allow user {user} to subscribe to what the gateway publishes if you want to be sure (linkbeatctl acl " +
		"prints the rules), or read a frame with linkbeatctl tail"
	hintUnkept = "let the server keep retained messages (mosquitto: retain_available true): without them linkbeatctl devices " +
		"and documents for the fleet do not work"
	hintUnasked   = "run it again; if it stays so, see the broker's log for client {trial}"
	hintLess      = "run finds that out by itself and asks for less; uplink.keepalive_ceiling spares it the search"
	hintLeft      = "delete the session {trial} at the broker, if it lists it"
	hintWillTopic = "allow user {user} to publish and subscribe to the probe topics (linkbeatctl acl prints the rules), " +
		"and run this again"
	hintServerSoon = "have the certificate of {host} renewed: when it expires, every gateway goes offline"
	hintOursSoon   = "renew {cert}; the agent takes the new file without a restart"
)

// unknownHint is for a step of which nobody can tell.
func unknownHint(step string) string {
	switch step {
	case diagnose.StepConnect:
		return hintWillTopic
	case diagnose.StepRetained:
		return hintUnkept
	case diagnose.StepSize:
		return hintUnasked
	case diagnose.StepTidy:
		return hintLeft
	}
	return hintUnheard
}

// hints say what to do next, for "step fault", for a fault, or for a step; "" is for the rest. Placeholders: facts.fill.
func hints() map[string]string {
	return map[string]string{
		"no_such_name": "look for a typo in uplink.servers; if {host} is right, this network's name server does not know it: " +
			"see /etc/resolv.conf, or write the address",
		"no_name_server": "see /etc/resolv.conf, and whether the cable or modem carries anything at all: " +
			"ping an address of the outside",
		"dns silence": "see /etc/resolv.conf, and whether the cable or modem carries anything at all: " +
			"ping an address of the outside",

		"unreachable": "there is no way from here: is the cable in, has the modem its SIM and a connection? ip address; ip route",
		"permission": "the kernel forbids it: look for a firewall rule of this machine (nft list ruleset), " +
			"and run this as the agent's user",
		"tcp refused": "the machine is there and nothing listens on this port: compare the port with the broker's listener, " +
			"and see whether the broker runs",
		"tcp silence": "packets vanish: a firewall or the carrier blocks this port, or the server is down; " +
			"try from another network, or let the broker listen on 443 (wss://)",

		"proxy proxy":  "the proxy answers and will not connect us: have it allow CONNECT to this host and port",
		"proxy_login":  "the proxy wants another login: put it into uplink.proxy as http://user:password@host:port",
		"proxy closed": "something that is no such proxy answers there: compare scheme, host and port of uplink.proxy",
		"proxy silence": "the proxy takes connections and does not answer: compare scheme and port of uplink.proxy, " +
			"and see its log",
		"files": "make the file readable for the agent's user, and its path right in the configuration",
		"no_tls": "something other than TLS is spoken there: use mqtt:// for a plain port, " +
			"or the broker's TLS port (8883)",
		"tls closed": "the port may be a plain one (then mqtt://), or something on the way cuts TLS: " +
			"try from another network",
		"tls silence": "TCP works and TLS does not get through: a firewall that inspects, " +
			"or packets that are too large for the path (try a lower MTU)",
		"unknown_authority": "no authority in {ca} signed it: put the broker's authority into tls.ca_file; " +
			"if you did, something on the way may be posing as {host}",
		"other_name":      "the certificate is for another name: use that name in the URL, or set tls.server_name to it",
		"expired":         "the server's certificate has expired, or this machine's clock is ahead: date; then have it renewed",
		"clock":           "this machine's clock is behind: set it (timedatectl), and see whether NTP gets through",
		"bad_certificate": "the server's certificate is not one that can be trusted: see the text above, and its log",
		"our_certificate": "the server does not accept our certificate, {cert}: " +
			"is it signed by an authority that the broker trusts, and not expired? see the broker's log",
		"tls_alert": "the server will not speak TLS with us: version, ALPN (tls.alpn), or it wants a certificate of ours " +
			"(tls.cert_file); see its log",
		"websocket": "the server answers, and makes no WebSocket: check the path of the URL (often /mqtt), " +
			"and that this port is the broker's",

		"no_mqtt": "something other than MQTT 3.1.1 is spoken there: compare port and scheme of the URL with the " +
			"broker's listener",
		"version": "the broker does not speak MQTT 3.1.1: allow it there",
		"client_id": "the broker does not accept {trial}: rules about client ids must allow {id} and {id}-p with " +
			"anything behind it; or it refuses a keepalive of 60 s",
		"unavailable": "the broker says that it cannot serve now: wait, and see its log",
		"login": "user {user} and its password do not fit: compare with the broker's; " +
			"the password is read from its file at each connection",
		"not_authorised": "the broker knows no user {user} with this password, or lets it connect as {id} only: " +
			"allow the client id {trial} too",
		"connect closed": "the broker hung up instead of answering: see its log; a plain port wants mqtt://, " +
			"a TLS port mqtts://; it may not accept our certificate",
		"connect silence": "the broker takes connections and does not answer: it may be overloaded or stopped; " +
			"restart it, and see its log",

		"subscribe denied": "commands and configuration cannot arrive: allow these topics to user {user} in the broker's " +
			"access list (linkbeatctl acl prints the rules)",
		"topics denied": "what is published there is lost, although brokers acknowledge it: " +
			"allow it to user {user} in the access list (linkbeatctl acl prints the rules)",

		"closed":  "the connection was closed: see the broker's log for client {trial}",
		"silence": "the path went silent: try again; if it stays so, linkbeat probe shows how long it may be silent",
		"stopped": "it was stopped before the end: run it again",
		"":        "see the text above, and the broker's log for client {trial}",
	}
}

// hintNotTaken is what to do where a server does not take what a gateway asks for; empty: it is not about that.
func hintNotTaken(f diagnose.Fault) string {
	switch f {
	case diagnose.FaultKeepalive:
		return "the broker takes no keepalive that long: set uplink.keepalive_ceiling (or uplink.keepalive) to what it takes, " +
			"for example 1160s"
	case diagnose.FaultLasting:
		return "the broker keeps no session for us: set uplink.clean_session: true, or allow it there"
	case diagnose.FaultWill:
		return "the broker takes no will: allow one there, or see its log; without it nobody is told when the " +
			"gateway goes offline"
	case diagnose.FaultRetain:
		return hintUnkept
	case diagnose.FaultTogether:
		return "the broker takes a plain session, and not what run asks for: see its log for client {trial}"
	case diagnose.FaultSize:
		return "raise what the broker takes for a message (mosquitto: message_size_limit; EMQX, HiveMQ: max_packet_size), " +
			"or lower frame.max and batch, and uplink.max_payload"
	}
	return ""
}
