package size

import (
	"fmt"
	"github.com/linkbeat/linkbeat/build/internal/kit"
	"os"
	"strings"
	"testing"
	"time"
)

func TestZZ(t *testing.T) {
	e := kit.Test(t, 20*time.Minute)
	root, _ := kit.Root()
	for _, c := range strings.Fields(os.Getenv("ZZ")) {
		dir, _ := e.Sub("x")
		if err := kit.Unpack(e.Ctx, root, c, dir); err != nil {
			t.Fatal(err)
		}
		s, err := Weigh(e, dir)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("ZZ", c, s.Sum())
	}
}
