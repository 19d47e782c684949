package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestStoreKeepsTheLastGoodText(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "the", "store")
	s := NewStore(dir)
	if _, _, err := s.LoadGood(); !errors.Is(err, ErrNothingKept) {
		t.Errorf("%v", err)
	}
	for _, text := range []string{"first", "second, longer", "third"} {
		if err := s.SaveGood([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, _, err := NewStore(dir).LoadGood(); err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v: no temporary file may stay", entries, err)
	}
	info, err := os.Stat(filepath.Join(dir, goodFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestStoreWritesTheSameTextOnce(t *testing.T) {
	s := NewStore(t.TempDir())
	if err := s.SaveGood([]byte("x")); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(filepath.Join(s.Dir(), goodFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SaveGood([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(filepath.Join(s.Dir(), goodFile)); err != nil || !os.SameFile(before, after) {
		t.Errorf("written again: %v", err)
	}
}

func TestStoreIgnoresAnInterruptedWrite(t *testing.T) {
	s := NewStore(t.TempDir())
	if err := s.SaveGood([]byte("good")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir(), goodFile+".tmp"), []byte("half a docu"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, _, err := s.LoadGood(); err != nil || string(got) != "good" {
		t.Errorf("%q, %v", got, err)
	}
	if err := s.SaveGood([]byte("next")); err != nil {
		t.Fatal(err)
	}
}

// brokenStore is one whose directory cannot be: a file stands there.
func brokenStore(t *testing.T) *Store {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return NewStore(file)
}

func TestStoreThatCannotWriteSaysSo(t *testing.T) {
	s := brokenStore(t)
	if err := s.SaveGood([]byte("x")); !errors.Is(err, ErrNotKept) {
		t.Errorf("%v", err)
	}
	if _, _, err := s.LoadGood(); err == nil {
		t.Error("read from nowhere")
	}
	doc := Defaults()
	id, err := doc.ResolveID(machine("aa:bb:cc:0d:0e:0f"), s)
	if id != "gate-0d0e0f" || !errors.Is(err, ErrNotKept) {
		t.Errorf("%q, %v: the id is valid, only not kept", id, err)
	}
}

func TestStoreSaysWhenAWriteFails(t *testing.T) {
	for name, inTheWay := range map[string]string{
		"the temporary file cannot be made": goodFile + ".tmp" + "/x",
		"the rename fails":                  goodFile + "/x",
	} {
		s := NewStore(t.TempDir())
		if err := os.MkdirAll(filepath.Join(s.Dir(), inTheWay), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := s.SaveGood([]byte("new")); !errors.Is(err, ErrNotKept) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStoreRefusesAHugeFile(t *testing.T) {
	s := NewStore(t.TempDir())
	if err := os.WriteFile(filepath.Join(s.Dir(), goodFile), make([]byte, maxSource+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.LoadGood(); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("%v", err)
	}
}

// machine is a host named gate with one network card.
func machine(mac string) Host {
	return Host{
		Hostname: func() (string, error) { return "gate", nil },
		Net:      fstest.MapFS{"eth0/device/uevent": {}, "eth0/address": {Data: []byte(mac + "\n")}},
	}
}

func TestMAC6(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	tests := []struct {
		name string
		net  fstest.MapFS
		want string
	}{
		{"the first by name with a device", fstest.MapFS{
			"br0/address": file("02:00:00:00:00:01\n"), "lo/address": file("00:00:00:00:00:00\n"),
			"eth1/device/x": file(""), "eth1/address": file("AA:BB:CC:DD:EE:02\n"),
			"eth0/device/x": file(""), "eth0/address": file("aa:bb:cc:dd:ee:01\n")}, "ddee01"},
		{"an address of zeros is none", fstest.MapFS{
			"ppp0/device/x": file(""), "ppp0/address": file("00:00:00:00:00:00\n"),
			"wwan0/device/x": file(""), "wwan0/address": file("02:11:22:33:44:55\n")}, "334455"},
		{"an address of another kind is none", fstest.MapFS{
			"can0/device/x": file(""), "can0/address": file("\n"), "ib0/device/x": file(""),
			"ib0/address": file("80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:10:39\n"), "wl0/device/x": file("")}, ""},
		{"virtual ones only", fstest.MapFS{"eth0/address": file("02:00:00:00:00:01\n")}, ""},
		{"none", fstest.MapFS{}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := MAC6(tt.net)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("%q, %v", got, err)
			}
			if tt.want == "" && !errors.Is(err, ErrNoMAC) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestIdentityIsKeptFromTheFirstStart(t *testing.T) {
	s, doc := NewStore(t.TempDir()), Defaults()
	for _, mac := range []string{"aa:bb:cc:0d:0e:0f", "11:22:33:44:55:66"} {
		if id, err := doc.ResolveID(machine(mac), s); id != "gate-0d0e0f" || err != nil {
			t.Errorf("with %s: %q, %v", mac, id, err)
		}
	}
	if err := os.WriteFile(filepath.Join(s.Dir(), identityFile), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if id, err := doc.ResolveID(machine("11:22:33:44:55:66"), s); id != "gate-445566" || !errors.Is(err, ErrNotKept) {
		t.Errorf("after a rotten identity: %q, %v", id, err)
	}
}

func TestResolveID(t *testing.T) {
	doc := Defaults()
	doc.Device.ID = "plain"
	if id, err := doc.ResolveID(Host{}, nil); id != "plain" || err != nil {
		t.Errorf("%q, %v", id, err)
	}
	doc.Device.ID = "{mac6}"
	if id, err := doc.ResolveID(machine("aa:bb:cc:0d:0e:0f"), nil); id != "0d0e0f" || err != nil {
		t.Errorf("without a store: %q, %v", id, err)
	}
	if _, err := doc.ResolveID(Host{Net: fstest.MapFS{}}, NewStore(t.TempDir())); !errors.Is(err, ErrNoMAC) {
		t.Errorf("%v", err)
	}
	doc.Device.ID = "{hostname}"
	for name, host := range map[string]func() (string, error){
		"no host name":      func() (string, error) { return "", errors.New("none") },
		"an empty one":      func() (string, error) { return "", nil },
		"one with a slash":  func() (string, error) { return "a/b", nil },
		"one with a wild +": func() (string, error) { return "a+b", nil },
	} {
		if id, err := doc.ResolveID(Host{Hostname: host}, nil); err == nil {
			t.Errorf("%s: %q", name, id)
		}
	}
}
