package transport

import (
	"testing"

	"github.com/linkbeat/linkbeat/transport/brokertest"
)

// TestLinkEchoes wants the link of the same gateway undisturbed.
func TestLinkEchoes(t *testing.T) {
	m := brokertest.Start(t,
		brokertest.ACL("topic readwrite lb/gw-1/up/data\ntopic readwrite lb/gw-1/up/state\ntopic read lb/gw-1/up/log\n"))
	l := linkTo(t, Server{URL: URL("mqtt://" + m.Addr())})
	if v, err := l.Echo(t.Context(), topicsOf("data")); err == nil || v["data"] != EchoUnknown {
		t.Errorf("before it is up: %v, %v", v, err)
	}
	runLink(t, l)
	awaitUp(t, l)
	v, err := l.Echo(t.Context(), topicsOf("data", "log"))
	if err != nil || v["data"] != EchoOK || v["log"] != EchoDenied {
		t.Errorf("%v, %v", v, err)
	}
	if st := l.Status(); st.Drops != 0 || st.State != StateUp || st.Bytes.Probe == 0 {
		t.Errorf("%+v", st)
	}
}

func topicsOf(classes ...string) (all []EchoTopic) {
	for _, c := range classes {
		all = append(all, EchoTopic{Class: c, Topic: "lb/gw-1/up/" + c})
	}
	return all
}
