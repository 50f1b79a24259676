# `make help` lists the targets.

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
PLUGINS := udp tcp unix websocket rest
FUZZTIME ?= 3s
WORKS ?=
ROUNDS ?= 3
FAULT ?=
DURATION ?= 10s
SEED ?= 0

GO := go
# Without the tag, grpc brings its pages for tracing, which nobody serves.
BUILD := $(GO) build -trimpath -buildvcs=false -tags grpcnotrace
STATICCHECK := $(GO) tool -modfile=tools/go.mod staticcheck
# The race detector needs a C compiler, without which Go turns cgo off.
RACE := $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race)
GOFMT = "$$($(GO) env GOROOT)/bin/gofmt"

.DEFAULT_GOAL := help
.PHONY: help build run test format vet lint walls generated unit fuzz generate bench chaos stranger screenshot clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/antano and bin/plugins/antano-service-*
	@mkdir -p bin/plugins
	$(BUILD) -ldflags '-X main.version=$(VERSION)' -o bin/antano ./cmd/antano
	@set -e; for p in $(PLUGINS); do \
		echo "CGO_ENABLED=0 $(BUILD) -o bin/plugins/antano-service-$$p ./plugins/$$p"; \
		CGO_ENABLED=0 $(BUILD) -ldflags '-X main.version=$(VERSION)' -o bin/plugins/antano-service-$$p ./plugins/$$p; done

run: build ## build, then run the development services until Ctrl-C
	bin/antano run

test: format build vet lint walls generated unit fuzz ## everything that CI checks

format: ## check that every file is as gofmt writes it
	@bad=$$($(GOFMT) -l .); \
	if [ -n "$$bad" ]; then echo "not formatted, run gofmt -w:"; echo "$$bad"; exit 1; fi

vet: ## go vet, tests included
	$(GO) vet ./...
	cd bench && $(GO) vet ./...

lint: ## staticcheck, the version pinned in tools/go.mod
	$(STATICCHECK) ./...

walls: ## check who imports whom, and the habits of this code
	$(GO) test .

generated: ## check that generated code is up to date
	tools/generate --check

unit: ## all tests, with the race detector where there is a C compiler
	$(if $(RACE),,@echo "no C compiler: testing without the race detector (apt-get install gcc libc6-dev)")
	$(GO) test $(RACE) -timeout 25m ./...
	cd bench && $(GO) test ./...
	$(if $(RACE),$(GO) test -run 'StayFlat|Alloc|Memory' ./manager/internal/launch ./manager/internal/relay ./plugin/format ./plugin/internal/hub ./plugin/socket ./shared/wire # what the race detector's own memory hides)

fuzz: ## run every fuzz target for FUZZTIME each
	tools/fuzz $(FUZZTIME)

generate: ## generate code anew (needs protoc, Debian's protobuf-compiler)
	tools/generate

bench: build ## measure antano beside its peers, rewrite docs/benchmarks.md (ROUNDS=3; with WORKS=relay,… the page stays)
	cd bench && $(GO) run . -antano ../bin/antano -rounds $(ROUNDS) $(if $(WORKS),-works $(WORKS),-docs ../docs)

stranger: build ## walk docs/writing-a-plugin.md as a stranger does, and print the seconds
	tools/stranger

chaos: ## disturb servers under load and keep books (FAULT=sigkill,… DURATION=10s SEED=1 JSON=file)
	$(GO) run ./chaos -fault '$(FAULT)' -duration $(DURATION) -seed $(SEED) -json '$(JSON)'

screenshot: ## take docs/examples/chat/chat.png anew (needs chromium and chromedriver)
	SCREENSHOT=$(CURDIR)/docs/examples/chat/chat.png $(GO) test -count 1 -run TestChatExample ./cmd/antano

clean: ## remove what was built
	rm -rf bin
