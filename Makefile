# make help lists the targets.
export CGO_ENABLED := 0
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)

.DEFAULT_GOAL := help
.PHONY: help build run test test-go test-web test-e2e screenshots bench bench-store bench-render bench-converge bench-bake compat-graphite compat-registry bench-registry soak lint docs fuzz clean web

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: web bin/steer ## build the web UI and bin/steer

bin/steer: FORCE
	@mkdir -p bin
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/steer .
FORCE:

web: web/dist/index.html ## build the web UI into web/dist

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

web/dist/index.html: web/node_modules/.package-lock.json $(shell find web/src web/public web/index.html web/vite.config.ts -type f 2>/dev/null)
	@rm -rf web/dist/assets
	cd web && npm run --silent build

run: build ## build everything, drive the tour and leave the UI up
	bin/steer tour --stay

test: build test-go test-web test-e2e ## run every test

test-go: ## Go tests: units, both databases, crashes, scripts
	go vet ./...
	go test -timeout 15m ./...
	@[ -n "$$STEER_TEST_POSTGRES" ] || echo "skipped: the tests on PostgreSQL (set STEER_TEST_POSTGRES, see CONTRIBUTING.md)"
	@[ -x /usr/sbin/collectd ] || echo "skipped: the test with collectd (install Debian's collectd-core)"
	cd examples/catalog && go vet ./... && go test ./...

test-web: web/node_modules/.package-lock.json ## type checks and unit tests of the UI
	cd web && npm run --silent check && npm run --silent test

test-e2e: build ## the tour and the UI in a real browser
	cd test/e2e && npm ci --no-audit --no-fund --loglevel=error && node run.mjs

screenshots: build ## pictures of the UI for the README, from the tour
	cd test/e2e && npm ci --no-audit --no-fund --loglevel=error && STEER_SCREENSHOTS=docs/screenshots node run.mjs

bench: ## measure the metric path
	go test -run '^$$' -bench . -benchmem ./monitor/... ./api/graphite

bench-store: bin/steer ## measure the metric store against VictoriaMetrics and carbon (flags: BENCH)
	go run ./test/bench/store $(BENCH)

bench-render: bin/steer ## measure queries against VictoriaMetrics and graphite-web (flags: BENCH)
	go run ./test/bench/render $(BENCH)

bench-converge: bin/steer ## measure convergence of a host against Puppet and Ansible, as root (flags: BENCH)
	go run ./test/bench/converge $(BENCH)

bench-bake: bin/steer ## measure images against docker build, as root (flags: BENCH)
	go run ./test/bench/bake $(BENCH)

compat-graphite: ## compare the Graphite API with graphite-web, from recorded answers
	go test -count 1 -v -run 'Graphite|Guide' ./test/compat/graphite

# Pinned, so that a result means the same next month.
OCI_SUITE := github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111

bin/conformance: Makefile
	GOBIN=$(CURDIR)/bin go install $(OCI_SUITE)
	@touch $@

compat-registry: bin/conformance ## the conformance suite of the Open Container Initiative against the registry
	PATH="$(CURDIR)/bin:$$PATH" go test -count 1 -v -run 'RegistryConformance' ./test

bench-registry: bin/steer ## measure docker push and pull against Debian's docker-registry (flags: BENCH)
	go run ./test/bench/registry $(BENCH)

soak: ## 300 kills of the metric store, each fault and death of its story, every flipped bit
	STEER_SOAK=300 go test -timeout 60m -count 1 -v -run 'Crash|Story|Fault|Flipped|Model' ./monitor/store/...

fuzz: ## a minute of fuzzing for each parser that reads from outside
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
		echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime 60s $$p || exit 1; done; done

lint: ## formatting, vet, generated files
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "run gofmt -w on:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go mod verify
	go mod tidy -diff
	go test -count 1 ./test -run 'TestImports|TestEvery|TestNo|TestGenerated'

docs: bin/steer ## generate docs/generated from the program
	bin/steer docs docs/generated

clean: ## remove what was built
	rm -rf bin web/dist/assets web/dist/index.html
