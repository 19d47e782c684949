package brokerurl

import (
	"net/url"
	"strings"
	"testing"
)

// What is shown is dialled: the host that net/url finds, and nothing of a user part or a query. Or all of it is hidden.
func FuzzShown(f *testing.F) {
	for _, s := range []string{"mqtts://gw:pw@h:8883", "wss://h.net/m@n?u=a@b#c@d", "ws://[::1]:80/@", "mqtt://a@b@c",
		"wss://h?@/",
		"mqtts://gw:12/hunter2@h", "ws://b:80/m?m=a@b", "wss://h#?@", "wss://@h/", "wss://:@h:1?a=@",
		"mqtts://a%40b@h", "ws://h/%40"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u := URL(s)
		name, shown := u.Name(), u.String()
		p, err := url.Parse(s)
		if s == "" || s == None || strings.Contains(name, unreadable) && !strings.HasSuffix(name, "/"+unreadable) ||
			strings.HasSuffix(name, "://"+unreadable) || err != nil {
			return
		}
		n, err := url.Parse(strings.TrimSuffix(name, "/"+unreadable))
		if err != nil || n.Host != p.Host || n.Scheme != p.Scheme || n.User != nil || n.RawQuery != "" || n.Fragment != "" {
			t.Fatalf("%q has the name %q: %v", s, name, err)
		}
		if p.User != nil && !strings.Contains(shown, hidden+"@") || strings.Contains(name, "@") {
			t.Fatalf("%q is shown as %q, its name is %q", s, shown, name)
		}
		if (p.RawQuery != "" || p.Fragment != "") && !strings.HasSuffix(shown, "?"+hidden) {
			t.Fatalf("%q is shown as %q", s, shown)
		}
	})
}
