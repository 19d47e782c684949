#!/usr/bin/env bash
# Runs every fuzz target of the module for $1 seconds. `go test -fuzz` takes one target of one package at a time.
set -euo pipefail

seconds=${1:-5}
count=0
while IFS=: read -r file name; do
	package=./$(dirname "$file")
	echo "fuzz: $package $name"
	go test -run '^$' -fuzz "^${name}\$" -fuzztime "${seconds}s" "$package"
	count=$((count + 1))
done < <(git grep --untracked -oE '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go' | sed 's/:func /:/')
echo "fuzz: $count targets, ${seconds} s each"
