# linkbeat. `make` alone prints the targets; what each measures is told in build/README.md.
DEMO_SECONDS ?= 0
DEMO_SEED ?= 0
FUZZ_SECONDS ?= 5
GO ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
SHOW = $(GO) run ./build/tools/show
# The product's tests side by side, then those with real time in them one package after the other.
PACKAGES = $$($(GO) list ./... | grep -v '/linkbeat/build/')
GOTEST = $(GO) run ./build/tools/gotest
# A laboratory is a folder, and a row in build/labs/labs.go; a test holds the table in build/README.md equal to it.
LABS = $(patsubst build/labs/%/,lab-%,$(wildcard build/labs/*/))

# mosquitto, ip and nft live in sbin, which Debian leaves out of a user's PATH.
export PATH := $(PATH):/usr/sbin:/sbin

.DEFAULT_GOAL := help
.PHONY: help build demo demo-seeds test unit lint golangci check race fuzz e2e crash outage upgrade size bench-relay \
	bench-heartbeat audit man cross clean setup $(LABS)

help: ## print the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@awk -F ' *[|] *' '/^[|] `make lab-/ { gsub("`", "", $$2); \
		how = ($$3 ~ /root/ ? "root; " : "") ($$3 ~ /quiet/ ? "a quiet machine; " : ""); \
		printf "%-20s %s (%s%s)\n", $$2, $$5, how, $$4 }' build/README.md

build: ## linkbeat and linkbeatctl for this machine into dist/ (needs only Go)
	@$(SHOW) build

demo: build ## what linkbeat does, before your eyes (needs only Go); DEMO_SECONDS=30 ends by itself
	@dist/linkbeatctl demo --agent dist/linkbeat --seconds $(DEMO_SECONDS) --seed $(DEMO_SEED)

demo-seeds: ## ten demos with ten limits: what was proven of each, frames, commands of both clients (needs only Go; 1 minute)
	@$(SHOW) demo

setup: ## install what the tests need (Debian, as root), or say what is missing
	@build/setup.sh

test: setup ## every test, with the real mosquitto, ptys and namespaces; the last line counts them
	@$(GOTEST) -count=1 -timeout 10m $(PACKAGES) -- -p 1 -count=1 -timeout 10m ./build/...

unit: ## the product's own tests in less than a minute: needs only Go, no root, no broker
	@CI= NO_BROKER=1 $(GOTEST) -count=1 -timeout 5m $(PACKAGES)

lint: ## gofmt, go vet, staticcheck, shellcheck, subjects of commits
	@build/lint.sh $(STATICCHECK)

golangci: ## golangci-lint with build/.golangci.yml (slow the first time: it is compiled)
	@$(GO) run $(GOLANGCI) run -c build/.golangci.yml ./...

check: lint golangci race fuzz cross size ## lint, race, fuzz for a short while, cross builds, budgets

race: setup ## every test under the race detector, the agent of the end-to-end tests too
	@RACE_LINKBEAT=1 $(GOTEST) -race -count=1 -timeout 15m $(PACKAGES) -- -p 1 -race -count=1 -timeout 15m ./build/...

fuzz: ## every fuzz target for FUZZ_SECONDS each
	@build/fuzz.sh $(FUZZ_SECONDS)

e2e: setup ## every text recording through a pty and mosquitto, byte for byte; commands, reload, stop
	@$(SHOW) e2e

crash: setup ## 50 SIGKILLs and 10 broker restarts at 200 frames a second, twice
	@$(SHOW) crash

outage: setup ## dead broker, silent path, full send buffer, short cuts (root: uses namespaces)
	@$(SHOW) outage

bench-heartbeat: ## what the heartbeat learns, how soon and at what price, beside other policies, in virtual time
	@$(SHOW) bench-heartbeat

# The laboratories: what one needs is installed, then its full form runs.
$(LABS): lab-%:
	@build/setup.sh $@
	@$(SHOW) $@

upgrade: setup ## the agent goes on with what an earlier version left on the disk, and writes the same again
	@$(SHOW) upgrade

size: setup ## the ARMv6 binary, packed and by sections, and resident memory against build/budgets.json and the commit before
	@$(SHOW) size

bench-relay: setup ## throughput, CPU, latency, flash and wire bytes, beside a bare paho loop and the commit before (or AGAINST=<commit>)
	@$(SHOW) bench-relay

audit: ## modules, their newest versions and licences; known vulnerabilities in code that is called (needs Go and its module proxy)
	@$(SHOW) audit

man: ## man pages and completion scripts into dist/man and dist/completions
	@$(SHOW) man

cross: ## static binaries for every platform, man pages and completion scripts into dist/
	@$(SHOW) cross

clean: ## remove dist/
	rm -rf dist
