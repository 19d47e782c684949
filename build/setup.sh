#!/usr/bin/env bash
# Installs what `make test` needs beyond Go, or, with the name of a target (lab-mcu), what that one needs: by apt-get as root on
# Debian or Ubuntu; else says what to install. The table of tools is build/internal/kit/tools.go.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v go >/dev/null; then
	echo "setup: Go is missing: install Go 1.26 or newer from https://go.dev/dl/" >&2
	exit 1
fi
PATH=$PATH:/usr/sbin:/sbin
list=$(go run ./build/tools/show missing "$@")
read -ra missing <<<"$list"
if ((${#missing[@]} == 0)); then
	exit 0
fi

# The tests run servers of their own: what a package brings as a service is neither started by the installation (policy-rc.d
# answers 101, "not allowed", to every start) nor at the next boot.
install() {
	local policy=/usr/sbin/policy-rc.d unit
	if [[ ! -e $policy ]]; then
		trap 'rm -f '"$policy" EXIT
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "$@" >/dev/null
	if [[ -d /run/systemd/system ]]; then
		for unit in "$@"; do
			systemctl disable --now "$unit.service" >/dev/null 2>&1 || true # most have none
		done
	fi
}

if ((EUID == 0)) && command -v apt-get >/dev/null; then
	echo "setup: installing ${missing[*]}"
	install "${missing[@]}"
	exit 0
fi
echo "setup: missing: ${missing[*]}" >&2
echo "setup: on Debian or Ubuntu run: sudo apt-get install ${missing[*]}" >&2
if [[ -n ${CI:-} ]]; then
	exit 1
fi
echo "setup: going on; tests that need them are skipped and say so" >&2
