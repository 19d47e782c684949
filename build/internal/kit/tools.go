package kit

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
)

// Tool is what a test, a laboratory or a proof needs beyond Go, and what brings it.
type Tool struct {
	Name     string   // of a program in PATH
	Packages []string // of Debian
	File     string   // if set, the file that must be there: Name is no program
	Apart    bool     // a large download: for the laboratory that needs it alone, and never for `make test`
}

// Tools is the table of them: build/setup.sh installs by it, and [Missing] takes its hints from it.
func Tools() []Tool {
	return []Tool{
		{Name: "mosquitto", Packages: []string{"mosquitto"}},
		{Name: "qemu-arm-static", Packages: []string{"qemu-user-static"}},
		{Name: "ip", Packages: []string{"iproute2"}},
		{Name: "nft", Packages: []string{"nftables"}},
		{Name: "conntrack", Packages: []string{"conntrack"}},
		{Name: "tcpdump", Packages: []string{"tcpdump"}},
		{Name: "haproxy", Packages: []string{"haproxy"}},
		{Name: "tinyproxy", Packages: []string{"tinyproxy"}},
		{Name: "microsocks", Packages: []string{"microsocks"}},
		{Name: "nats-server", Packages: []string{"nats-server"}},
		{Name: "rabbitmq-server", Packages: []string{"rabbitmq-server"}},
		{Name: "ser2net", Packages: []string{"ser2net"}},
		{Name: "gcc", Packages: []string{"gcc", "libc6-dev"}},
		{Name: "libmodbus", Packages: []string{"libmodbus-dev"}, File: "/usr/include/modbus/modbus.h"},
		{Name: "mbpoll", Packages: []string{"mbpoll"}},
		{Name: "sz", Packages: []string{"lrzsz"}},
		{Name: "rz", Packages: []string{"lrzsz"}},
		{Name: "socat", Packages: []string{"socat"}},
		{Name: "picocom", Packages: []string{"picocom"}},
		{Name: "script", Packages: []string{"bsdutils"}},
		{Name: "strace", Packages: []string{"strace"}},
		{Name: "unshare", Packages: []string{"util-linux"}},
		{Name: "setpriv", Packages: []string{"util-linux"}},
		{Name: "xz", Packages: []string{"xz-utils"}},
		{Name: "qemu-system-arm", Packages: []string{"qemu-system-arm"}, Apart: true},
		{Name: "clang", Packages: []string{"clang"}, Apart: true},
		{Name: "ld.lld", Packages: []string{"lld"}, Apart: true},
	}
}

// FindTool returns the row of that name.
func FindTool(name string) (Tool, error) {
	all := Tools()
	i := slices.IndexFunc(all, func(t Tool) bool { return t.Name == name })
	if i < 0 {
		return Tool{}, fmt.Errorf("%s has no row in the table of tools: build/internal/kit/tools.go", name)
	}
	return all[i], nil
}

// Installed reports whether this machine has it.
func (t Tool) Installed() bool {
	if t.File != "" {
		_, err := os.Stat(t.File)
		return err == nil
	}
	_, err := exec.LookPath(t.Name)
	return err == nil
}

// TestTools names the tools that `make test` needs.
func TestTools() []string {
	var names []string
	for _, tool := range Tools() {
		if !tool.Apart {
			names = append(names, tool.Name)
		}
	}
	return names
}

// ToInstall returns the Debian packages, each once, that bring those of the named tools which this machine lacks. "root" is none.
func ToInstall(names []string) ([]string, error) {
	var packages []string
	for _, name := range names {
		if name == root {
			continue
		}
		tool, err := FindTool(name)
		if err != nil {
			return nil, err
		}
		for _, p := range tool.Packages {
			if !tool.Installed() && !slices.Contains(packages, p) {
				packages = append(packages, p)
			}
		}
	}
	return packages, nil
}
