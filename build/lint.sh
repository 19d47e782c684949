#!/usr/bin/env bash
# gofmt, go vet, staticcheck ($1 = tool@version) and, when it is there, shellcheck. Prints what is wrong; exit 1 then.
set -euo pipefail

bad=0
unformatted=$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -s -l)
if [[ -n $unformatted ]]; then
	echo "gofmt -s: not formatted:"
	echo "$unformatted"
	bad=1
fi
go vet ./... || bad=1
go run "$1" ./... || bad=1
if command -v shellcheck >/dev/null; then
	git ls-files -co --exclude-standard '*.sh' '.ci/run' | xargs shellcheck || bad=1
else
	echo "lint: shellcheck is not installed; the shell scripts were not looked at"
fi
((bad == 0)) && echo "lint: clean"
exit "$bad"
