#!/usr/bin/env bash
# gofmt, go vet, staticcheck ($1 = tool@version), when it is there shellcheck, and the subjects of commits. Prints what is
# wrong; exit 1 then.
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

# Subjects have at most 72 characters from this commit on; bytes that continue a character of UTF-8 are not counted.
since=cc012e67a9f21942e88b3f1b3f86d70dfe0c7a8b
if git merge-base --is-ancestor "$since" HEAD 2>/dev/null; then
	long=$(git log --format='%h %s' "$since..HEAD" |
		LC_ALL=C awk '{ subject = substr($0, index($0, " ") + 1); if (gsub(/[^\200-\277]/, "", subject) > 72) print }')
	if [[ -n $long ]]; then
		echo "subjects of commits above 72 characters: git rebase -i, reword, and give the reason in the body"
		echo "$long"
		bad=1
	fi
else
	echo "lint: no history back to ${since:0:7} here (another branch, a shallow clone, no git); subjects were not looked at"
fi
((bad == 0)) && echo "lint: clean"
exit "$bad"
