#!/usr/bin/env bash
# Installs what `make test` needs beyond Go: by apt-get as root on Debian or Ubuntu; else says what to install.
set -euo pipefail

declare -A package=([mosquitto]=mosquitto [qemu-arm-static]=qemu-user-static [ip]=iproute2 [nft]=nftables [conntrack]=conntrack)
PATH=$PATH:/usr/sbin:/sbin
missing=()
for tool in mosquitto qemu-arm-static ip nft conntrack; do
	command -v "$tool" >/dev/null || missing+=("${package[$tool]}")
done

if ! command -v go >/dev/null; then
	echo "setup: Go is missing: install Go 1.26 or newer from https://go.dev/dl/" >&2
	exit 1
fi
if ((${#missing[@]} == 0)); then
	exit 0
fi
if ((EUID == 0)) && command -v apt-get >/dev/null; then
	echo "setup: installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 # runlevel 1: no service is started; the tests run their own mosquitto
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
	exit 0
fi
echo "setup: missing: ${missing[*]}" >&2
echo "setup: on Debian or Ubuntu run: sudo apt-get install ${missing[*]}" >&2
if [[ -n ${CI:-} ]]; then
	exit 1
fi
echo "setup: going on; tests that need them are skipped and say so" >&2
