# make run and make test need nothing but Go, gcc and make: they do their own set-up.
export GOFLAGS ?= -buildvcs=false
CACHE := $(CURDIR)/.cache
SETUP ?= yes
STEP ?= pod
ARGS ?= --until=ready --linger=2s

.DEFAULT_GOAL := help
.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z][a-zA-Z0-9_-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-zA-Z0-9_-]+):.*## /\1\t/' | expand -t 20

.PHONY: build
build: ## build podrun, the supervisor and the demo image's program into ./.cache
	@hack/build

.PHONY: run
run: build ## run a real pod from request to Ready to gone (root); ARGS= keeps it until Ctrl-C, STEP=container runs one container
	@hack/run $(STEP) $(ARGS)

.PHONY: check
check: ## formatting, vet, lint, the import graph, every platform
	@hack/check

.PHONY: test
test: ## all tests: unit, root, peers, VM; installs what is missing as root (SETUP=no leaves the system alone)
	@SETUP=$(SETUP) hack/test all

.PHONY: test-unit test-root test-peer test-vm
test-unit: ## the tests that need neither root nor Linux
	@SETUP=$(SETUP) hack/test unit
test-root: ## the tests on this machine's kernel (root)
	@SETUP=$(SETUP) hack/test root
test-peer: ## the tests against other programs
	@SETUP=$(SETUP) hack/test peer
test-vm: ## the tests on cgroup v2, in a VM
	@SETUP=$(SETUP) hack/test vm

.PHONY: crashpoints
crashpoints: ## kill agent and supervisor at every failpoint of a pod's start and stop (root)
	@LIFEPOD_CRASH_POINTS=all go test -timeout 60m -count=1 -run '^TestCrashPoints$$' -v ./lifecycle/local ./container/runc

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s)
	@hack/fuzz

.PHONY: mutants
mutants: ## break lifecycle/plan line by line; every breakage must be caught
	@go run ./internal/mutants

.PHONY: bench
bench: build ## the figures of BENCHMARKS.md
	@hack/bench

.PHONY: bench-image
bench-image: ## a pull beside containerd, podman and the floor (root)
	@hack/bench-image

.PHONY: examples
examples: build ## run every example
	@hack/examples
