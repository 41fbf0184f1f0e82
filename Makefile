# `make run` and `make test` do all their set-up; the others are for who works on it. CONTRIBUTING.md says when.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
PROGRAM := .build/release/nebula-swift
# Warnings are errors here and in CI; an editor's own builds stay lenient.
STRICT := -Xswiftc -warnings-as-errors
# Tests of whole programs mostly wait for them, so more run at once than there are usually cores.
PYTEST := $(PYTHON) -m pytest -q -n 3 --dist worksteal
KILLS ?= 30
SEED ?= 1

.PHONY: help bootstrap program run test unit referees live crash chaos memory lake warehouse compression mutants sandbox bench format lint docs clean

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

bootstrap:  ## install what building and testing needs (root), and the Python environment
	@scripts/bootstrap.sh

program: bootstrap  ## build the release program
	@swift build -c release --product nebula-swift

run: program  ## the sandbox, the pipeline, two kills, and the comparison
	@$(PYTHON) -m Sandbox.run

test: bootstrap lint unit program referees crash  ## everything that CI runs

unit: bootstrap
	swift build --build-tests $(STRICT)
	swift test --skip-build $(STRICT)

referees: program
	$(PYTEST) Tests/RefereeTests

live: program  ## the warehouse's suite on a real account: NEBULA_LIVE_SNOWFLAKE=1 make live
	$(PYTHON) -m pytest -q Tests/RefereeTests/test_warehouse.py

crash: program
	$(PYTEST) Tests/CrashTests

chaos: program  ## more kills: make chaos KILLS=30 SEED=1
	$(PYTHON) -m Tests.CrashTests.chaos --kills $(KILLS) --seed $(SEED)
	$(PYTHON) -m Tests.CrashTests.chaos_snowflake --kills $(KILLS) --seed $(SEED)
	$(PYTHON) -m Tests.CrashTests.chaos_files --kills $(KILLS) --seed $(SEED)
	$(PYTHON) -m Tests.CrashTests.chaos_adls --kills $(KILLS) --seed $(SEED)

memory: program  ## peak memory of 2 GB through each path, the destination stalled for 30 s in the middle
	@$(PYTHON) -m Sandbox.memory

lake: program  ## events/s from the MongoDB stand-in into the Azure one, read back
	@$(PYTHON) -m Sandbox.lake_rate

warehouse: program  ## rows/s and CPU into the Snowflake stand-in, beside Snowflake's connector and DuckDB
	@$(PYTHON) -m Sandbox.warehouse_rate

compression: program  ## what the formats and compressions of staged files cost
	@$(PYTHON) -m Sandbox.compression

mutants: bootstrap  ## break each rule in turn, and show which test sees it
	$(PYTHON) scripts/mutants.py

sandbox: bootstrap  ## start the stand-ins and print the environment to export
	@$(PYTHON) -m Sandbox.stack

bench: bootstrap  ## records/s beside the limit of the parts that are not ours
	swift run -c release -Xswiftc -enable-testing --package-path Benchmarks nebula-bench

format:  ## swift-format, in place
	swift format -i -r Sources Tests Package.swift

lint:
	swift format lint --strict -r Sources Tests Package.swift

docs: program  ## write the reference pages from the specifications
	$(PROGRAM) docs docs

clean:
	rm -rf .build .venv Benchmarks/.build
