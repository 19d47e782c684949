package secrets

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

func TestWhoSeesAPassword(t *testing.T) {
	kit.Need(t, Needs()...)
	table := kit.NewTable("secrets").Brief()
	if err := Run(kit.Test(t, 4*time.Minute), table); err != nil {
		t.Error(err)
	}
	table.Judge(t)
}

func TestHolds(t *testing.T) {
	for _, before := range []string{"", "g", "gw", "gw:", "gw-7:"} {
		text := before + word + "-pw"
		if !holds("x"+text+"x") || !holds("Basic "+base64.StdEncoding.EncodeToString([]byte(text))) {
			t.Errorf("%q is not found", text)
		}
	}
	if holds("hunter and hunted, <secret>") {
		t.Error("found where it is not")
	}
}
