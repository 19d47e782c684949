#!/usr/bin/env bash
# Installs what `make test` needs beyond Go: by apt-get as root on Debian or Ubuntu; else says what to install. With "mcu" also what
# `make lab-mcu` alone needs, which is a download of its own.
set -euo pipefail

declare -A package=([mosquitto]=mosquitto [qemu-arm-static]=qemu-user-static [ip]=iproute2 [nft]=nftables [conntrack]=conntrack
	[haproxy]=haproxy [tinyproxy]=tinyproxy [microsocks]=microsocks [nats-server]=nats-server [rabbitmq-server]=rabbitmq-server
	[tcpdump]=tcpdump [ser2net]=ser2net [gcc]="gcc libc6-dev" [mbpoll]=mbpoll [xz]=xz-utils [sz]=lrzsz [socat]=socat [picocom]=picocom
	[qemu-system-arm]=qemu-system-arm [clang]=clang [ld.lld]=lld)
PATH=$PATH:/usr/sbin:/sbin
tools=(mosquitto qemu-arm-static ip nft conntrack haproxy tinyproxy microsocks nats-server rabbitmq-server tcpdump ser2net gcc xz mbpoll sz socat picocom)
if [[ ${1:-} == mcu ]]; then
	tools+=(qemu-system-arm clang ld.lld)
fi
missing=()
for tool in "${tools[@]}"; do
	# shellcheck disable=SC2206 # some tools are more than one package
	command -v "$tool" >/dev/null || missing+=(${package[$tool]})
done
[[ -e /usr/include/modbus/modbus.h ]] || missing+=(libmodbus-dev)

if ! command -v go >/dev/null; then
	echo "setup: Go is missing: install Go 1.26 or newer from https://go.dev/dl/" >&2
	exit 1
fi
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
