package wire

import "testing"

func TestGunzipIsBounded(t *testing.T) {
	z := Gzip(make([]byte, 1<<20))
	if _, err := Gunzip(z, 1000); err == nil {
		t.Fatal("a bomb went through")
	}
	if p, err := Gunzip(z, 1<<20); err != nil || len(p) != 1<<20 {
		t.Fatal(err)
	}
}
