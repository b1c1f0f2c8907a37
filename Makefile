# Every target sets up what it needs. See README.md.

# What perfbench is told by `make bench`; for example: make bench BENCH="--rw randwrite --depth 8"
BENCH ?=
# What Tests/Guest/run.py is told by `make test-guest`; for example: GUEST="kill --seed 7"
GUEST ?=

# Where `make install` puts things; DESTDIR goes in front, for packages.
PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: bench test test-guest lint fuzz compare-fio compare-backends compare-tcp install setup clean

bench: setup
	swift build -c release --product bounced
	swift build -c release --product perfbench
	.build/release/perfbench block $(BENCH)

# In an optimised build, as users run it: it keeps preconditions and overflow checks, the tests take a
# tenth of the time, and those that count allocations mean something in no other.
test: setup
	BOUNCE_WARNINGS_AS_ERRORS=1 swift test -c release -Xswiftc -enable-testing \
		--scratch-path .build/testable

# The daemon with real guests in QEMU: some minutes.
test-guest: setup
	swift build -c release --product bounced
	scripts/setup-guest
	Tests/Guest/run.py $(GUEST)

lint:
	swift format lint --strict --recursive Package.swift Sources Tests Snippets \
		Fuzz/Package.swift Fuzz/Sources
	scripts/check-readme

fuzz: setup
	scripts/fuzz

compare-backends: setup
	swift build -c release --product bounced
	swift build -c release --product perfbench
	scripts/compare-backends

compare-tcp: setup
	swift build -c release --product bounced
	swift build -c release --product perfbench
	scripts/compare-tcp

compare-fio: setup
	swift build -c release --product perfbench
	scripts/compare-fio

# The programs, with Swift's own libraries in them, their manual pages and completions, and the daemon's
# description for management programs, which look for it below /usr/share and /etc: PREFIX=/usr, or a
# link from there.
install: setup
	swift build -c release --static-swift-stdlib --scratch-path .build/install --product bounced
	swift build -c release --static-swift-stdlib --scratch-path .build/install --product perfbench
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/libexec" \
		"$(DESTDIR)$(PREFIX)/share/qemu/vhost-user"
	install .build/install/release/bounced .build/install/release/perfbench \
		"$(DESTDIR)$(PREFIX)/bin"
	set -e; for program in bounced perfbench; do \
		scripts/man-pages ".build/install/release/$$program" "$(DESTDIR)$(PREFIX)/share/man/man1"; \
		scripts/completions ".build/install/release/$$program" "$(DESTDIR)$(PREFIX)/share"; \
	done
	set -e; for device in blk net; do \
		ln -sf ../bin/bounced "$(DESTDIR)$(PREFIX)/libexec/bounced-$$device"; \
		sed 's|/usr/local/|$(PREFIX)/|' "share/50-bounced-$$device.json" \
			>"$(DESTDIR)$(PREFIX)/share/qemu/vhost-user/50-bounced-$$device.json"; \
	done

setup:
	@scripts/setup

clean:
	rm -rf .build
