package kit

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// debian names the Debian package that brings a tool.
var debian = map[string]string{
	"mosquitto": "mosquitto", "qemu-arm-static": "qemu-user-static", "ip": "iproute2", "nft": "nftables", "conntrack": "conntrack",
	"haproxy": "haproxy", "tinyproxy": "tinyproxy", "microsocks": "microsocks", "nats-server": "nats-server",
	"rabbitmq-server": "rabbitmq-server", "tcpdump": "tcpdump",
	"xz": "xz-utils", "gcc": "gcc libc6-dev libmodbus-dev", "mbpoll": "mbpoll",
	"qemu-system-arm": "qemu-system-arm", "clang": "clang", "ld.lld": "lld",
}

// Missing says which of the tools (or "root") is not there, and what to do about it; nil when all are.
func Missing(tools ...string) error {
	for _, tool := range tools {
		if tool == "root" {
			if os.Geteuid() != 0 {
				return fmt.Errorf("root is needed for network namespaces: run it with sudo")
			}
			continue
		}
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is missing: run build/setup.sh, or apt-get install %s", tool, debian[tool])
		}
	}
	return nil
}

// Need skips the test when a tool is missing; in CI, where nothing may be skipped, it fails instead.
func Need(t testing.TB, tools ...string) {
	t.Helper()
	err := Missing(tools...)
	if err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
}
