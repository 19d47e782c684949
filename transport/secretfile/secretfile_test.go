package secretfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestASecretInThePlaceOfANameIsNotShown(t *testing.T) {
	for _, secret := range []Name{"hunter2", "-----BEGIN PRIVATE KEY-----\nhunter2", "/hunter2", "hunter2/x", "/ab/hunter2==",
		"my hunter2 /a/b", "/a/hunter2 x"} {
		inJSON, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		_, failed := Read(string(secret), 1<<20)
		if failed == nil || !errors.Is(failed, fs.ErrNotExist) {
			t.Errorf("%s: %v", string(secret), failed)
		}
		var p *fs.PathError
		if !errors.As(failed, &p) {
			t.Errorf("%s: %T is no error of a path any more", string(secret), failed)
		}
		text := string(inJSON) + fmt.Sprintf("%v %s %q %#v %+v", secret, secret, secret, secret, struct{ N Name }{secret}) +
			fmt.Errorf("ca_file: %w", failed).Error()
		if strings.Contains(text, "hunter2") {
			t.Error(text)
		}
	}
	for _, name := range []Name{"", "/etc/linkbeat/password", "ca.pem", "certs/gw-1.key"} {
		if name.String() != string(name) {
			t.Errorf("%s is shown as %s", string(name), name)
		}
	}
}

func TestOpen(t *testing.T) {
	for mode, want := range map[fs.FileMode]string{
		0o600: "", 0o640: "", 0o660: "", 0o400: "", 0o601: "",
		0o644: "every user of this machine can read it: chmod 0640 /etc/p",
		0o444: "every user of this machine can read it: chmod 0440 /etc/p",
		0o777: "every user of this machine can read it: chmod 0770 /etc/p",
		0o602: "every user of this machine can change it: chmod 0600 /etc/p",
	} {
		if got := Open("/etc/p", mode); got != want {
			t.Errorf("%04o: %q, want %q", mode, got, want)
		}
	}
	if got := Open("it's mine", 0o604); !strings.HasSuffix(got, `chmod 0600 -- 'it'\''s mine'`) {
		t.Error(got)
	}
	file := filepath.Join(t.TempDir(), "p")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Chmod(file, 0o604)); err != nil {
		t.Fatal(err)
	}
	if mode, ok := Mode(file); !ok || Open(file, mode) == "" {
		t.Errorf("%v, %v", mode, ok)
	}
	if _, ok := Mode(filepath.Dir(file)); ok {
		t.Error("a folder has a mode that says something")
	}
}
