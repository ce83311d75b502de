# Every target installs what it needs first (test/setup says what, and does nothing when it is there).

.PHONY: build demo test tools check unit e2e fuzz bench bench-quick bench-ingest clean

GO ?= go
FUZZTIME ?= 20000x

build: bin/annexfs

# The program is built without cgo, always: Go's build cache makes this cheap when nothing changed.
.PHONY: bin/annexfs
bin/annexfs:
	@test/setup go
	CGO_ENABLED=0 $(GO) build -o $@ ./cmd/annexfs

# demo runs the main job on real input; see README.md.
demo: build
	@test/setup fuse duckdb
	@test/demo $(DIR)

tools:
	@test/setup go fuse users python spark postgres s3 lint tools writers

# test runs everything: unit tests, the conformance suites on both databases, the fuzz targets' seeds,
# and the end-to-end tests with real mounts and real readers.
test:
	@test/setup go fuse users python spark postgres s3 tools writers
	@test/run

# check is what a machine can say without running the program.
check:
	@test/setup go lint
	@test/check

# fuzz runs each fuzz target for FUZZTIME: executions (20000x), or a time (30s).
fuzz:
	@test/setup go
	@test/fuzz $(FUZZTIME)

bench: build
	@test/setup fuse python bench
	$(GO) run ./test/bench -write docs

bench-quick: build
	@test/setup fuse python
	$(GO) run ./test/bench -quick

# bench-ingest compares copying into staging and annexfs add with plain copies, and with git-annex and dvc where they are.
bench-ingest: build
	@test/setup fuse postgres bench
	$(GO) run ./test/bench/ingest -write docs

clean:
	rm -rf bin demo
