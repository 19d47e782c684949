package config

import (
	"os"
	"regexp"
	"testing"
)

func TestReadmeExamples(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1)
	if len(examples) != 3 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, e := range examples {
		doc, warnings, err := Parse(e[1], ParseOptions{})
		if err != nil || len(warnings) > 0 {
			t.Errorf("%v, %v in\n%s", err, warnings, e[1])
			continue
		}
		if doc.Device.ID == "north-17" && (len(doc.Uplink.Servers) != 2 || len(doc.Serial) != 2 ||
			!doc.Serial["meter"].Commands) {
			t.Errorf("%s", doc.Effective())
		}
	}
}
