package client

import (
	"testing"

	"github.com/linkbeat/linkbeat/transport/codec"
)

// Each identifier may be released once without its PUBLISH, and once for each PUBLISH; the same for what nobody here published.
func TestWhatAServerMayResume(t *testing.T) {
	var r Resumed
	step := func(what string, kind byte, id uint16, asked, earlier bool) {
		t.Helper()
		if a, e := r.May(kind, id); a != asked || e != earlier {
			t.Errorf("%s: asked %v, earlier %v", what, a, e)
		}
	}
	for id := range uint16(1 << 15) {
		step("of an earlier session", codec.TypePubrel, 2*id+1, true, true)
	}
	step("once more", codec.TypePubrel, 7, false, true)
	r.Published(7)
	step("of this session", codec.TypePubrel, 7, true, false)
	step("and once more", codec.TypePubrel, 7, false, true)
	step("completes nothing", codec.TypePubcomp, 7, false, true)
	step("publish of an earlier session", codec.TypePubrec, 7, true, true)
	step("the same", codec.TypePubrec, 7, false, true)
	step("its end", codec.TypePubcomp, 7, true, true)
	step("its second end", codec.TypePubcomp, 7, false, true)
	step("no such kind", codec.TypePuback, 7, false, false)
}
