# Every target sets up what it needs. See README.md.

# What perfbench is told by `make bench`; for example: make bench BENCH="--rw randwrite --depth 8"
BENCH ?=

.PHONY: bench test lint compare-fio setup clean

bench: setup
	swift build -c release --product perfbench
	.build/release/perfbench block $(BENCH)

# All tests in a debug build; then those that count allocations, which mean something in an optimised
# build only.
test: setup
	BOUNCE_WARNINGS_AS_ERRORS=1 swift test
	swift test -c release -Xswiftc -enable-testing --scratch-path .build/testable --filter Allocat

lint:
	swift format lint --strict --recursive Package.swift Sources Tests Snippets
	scripts/check-readme

compare-fio: setup
	swift build -c release --product perfbench
	scripts/compare-fio

setup:
	@scripts/setup

clean:
	rm -rf .build
