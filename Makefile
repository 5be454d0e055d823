# Every target does its own set-up: a fresh Debian 12 needs no step before it.

# dev builds faster than release and shares everything with the tests; the
# heavy work is done by libav*, which is optimised either way. For a service that
# stays, `make run PROFILE=release`.
export PROFILE ?= dev
FILMLAB = cargo run --locked --quiet --profile $(PROFILE) --

# Where rustup puts cargo, for a shell that was opened before it came.
export PATH := $(PATH):$(HOME)/.cargo/bin

# Notes for the next build take a fifth of the first one, line numbers an eighth of our own crate; who
# only looks at the demo needs neither. Where a build has left notes it goes on with them: all would be
# compiled again.
ifndef CARGO_INCREMENTAL
ifeq ($(wildcard $(or $(CARGO_TARGET_DIR),target)/debug/incremental/*),)
demo run: export CARGO_INCREMENTAL = 0
demo run: export CARGO_PROFILE_DEV_DEBUG = 0
endif
endif

.DEFAULT_GOAL := help
.PHONY: help setup test-api test-console bench bench-guard bench-image bench-load chaos strangers chaos-upgrade fixtures upgrade-fixtures build vendor run demo test test-cloud test-vendor soak sanitize corpus fuzz lint clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup: ## install what is missing to build and test (says what; needs root or prints the line)
	@scripts/setup.sh test

fixtures: ## make the test inputs in fixtures/generated
	@scripts/setup.sh fixtures
	@scripts/fixtures.sh

upgrade-fixtures: ## a ledger of this revision in the middle of its work, in fixtures/upgrade; see fixtures/README.md
	@scripts/setup.sh test
	@scripts/fixtures.sh
	@scripts/check.sh upgrade-fixtures

build: PROFILE = release
build: ## the release binary: target/release/filmlab
	@scripts/setup.sh
	cargo build --locked --release

vendor: ## the binary to deploy, with a small static FFmpeg: target/vendor/release/filmlab
	@scripts/setup.sh vendor
	@scripts/vendor.sh cargo build --locked --release

run: ## filmlab serve
	@scripts/setup.sh
	@cargo build --locked --profile $(PROFILE)
	@$(FILMLAB) serve

demo: ## one job of each kind on a real clip, from request to result, in var/demo
	@scripts/setup.sh
	@cargo build --locked --profile $(PROFILE)
	@$(FILMLAB) demo

test: ## format, clippy, docs, all tests, what the pages show; ends with what was skipped
	@scripts/setup.sh test
	@scripts/fixtures.sh
	@scripts/check.sh test

test-api: ## hold a running service to its OpenAPI document, with schemathesis
	@scripts/setup.sh api
	@scripts/check.sh test-api

test-console: ## look at the console in a real browser: both themes, two widths, axe-core
	@scripts/setup.sh console
	@scripts/check.sh test-console

bench: ## measure the deployed build beside what people would use instead; writes docs/performance.md (QUICK=1)
	@scripts/setup.sh bench
	@scripts/fixtures.sh
	@scripts/vendor.sh cargo build --locked --release
	@python3 scripts/bench/run.py "$${CARGO_TARGET_DIR:-target}/vendor/release/filmlab" $(if $(QUICK),--quick)

bench-guard: ## instructions that a fixed set of work takes, held against scripts/bench/instructions.json (RECORD=1)
	@scripts/setup.sh sanitize
	@scripts/fixtures.sh
	@scripts/vendor.sh cargo build --locked --release
	@python3 scripts/bench/guard.py "$${CARGO_TARGET_DIR:-target}/vendor/release/filmlab" $(if $(RECORD),--record)

bench-image: ## start, stop, memory and every stage of a job in an unpacked image (ROOT=folder)
	@scripts/setup.sh test
	@cargo build --locked
	@python3 scripts/bench/image.py "$(ROOT)" "$${CARGO_TARGET_DIR:-target}/debug/filmlab" fixtures/bigbuckbunny.mp4

bench-load: ## jobs that wait for the provider, a burst of wake-ups, CPU of a job (JOBS=1000 PLANTED=0)
	@scripts/setup.sh test
	@scripts/fixtures.sh
	@cargo build --locked --profile $(PROFILE)
	@python3 scripts/load.py "$${CARGO_TARGET_DIR:-target}/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/filmlab" fixtures/generated/tiny.mp4 fixtures/character.png "$(JOBS)" "$(PLANTED)"

chaos: ## jobs under kill -9, stalls and outages, judged from outside (JOBS=500 KILLS=90 SEED=…)
	@scripts/setup.sh test
	@scripts/fixtures.sh
	@JOBS=$(JOBS) KILLS=$(KILLS) SEED=$(SEED) OUTAGE=$(OUTAGE) scripts/check.sh chaos

chaos-upgrade: ## the same with workers of the revision before, to which it is rolled back (JOBS=40 KILLS=8)
	@scripts/setup.sh test
	@scripts/fixtures.sh
	@JOBS=$(JOBS) KILLS=$(KILLS) SEED=$(SEED) OUTAGE=$(OUTAGE) scripts/check.sh chaos-upgrade

strangers: ## what half requests, idle connections and slow servers of one owner cost the others
	@scripts/setup.sh test
	@scripts/fixtures.sh
	@scripts/check.sh strangers

test-cloud: ## the tests of the cloud deployment alone, with the Firestore emulator
	@scripts/setup.sh test
	@scripts/fixtures.sh
	@scripts/check.sh test-cloud

test-vendor: ## what touches media, with the FFmpeg of `make vendor`
	@scripts/setup.sh test
	@scripts/setup.sh vendor
	@scripts/fixtures.sh
	@scripts/check.sh test-vendor

soak: ## 2,400 damaged files and 200 videos in a row, with both builds of FFmpeg
	@scripts/setup.sh test
	@scripts/setup.sh vendor
	@scripts/fixtures.sh
	@scripts/check.sh soak

sanitize: ## media under valgrind, with the FFmpeg of `make vendor`
	@scripts/setup.sh test
	@scripts/setup.sh sanitize
	@scripts/fixtures.sh
	@scripts/check.sh sanitize

corpus: ## hold both builds against ffprobe and ffmpeg with your own videos (DIR=… OUT=report.json)
	@scripts/setup.sh corpus
	@scripts/setup.sh vendor || echo "corpus: without the deployed build"
	@DIR='$(DIR)' OUT='$(OUT)' ONLY='$(ONLY)' TIMEOUT=$(TIMEOUT) MEMORY=$(MEMORY) TOGETHER=$(TOGETHER) \
		PRESET=$(PRESET) scripts/check.sh corpus

fuzz: ## coverage-guided fuzzing of the media core, with libFuzzer (MINUTES=10 FLAGS=…)
	@scripts/setup.sh fuzz
	@scripts/fixtures.sh
	@MINUTES=$(MINUTES) FLAGS='$(FLAGS)' scripts/fuzz.sh $(TARGET)

lint: ## format, clippy, licences and sources of dependencies, shell scripts, the deployment's script, links and spelling
	@scripts/setup.sh lint
	@scripts/check.sh lint

clean: ## remove what was built, the fixtures and var/
	cargo clean
	rm -rf fixtures/generated fixtures/generated.* var
