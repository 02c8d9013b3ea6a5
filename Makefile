# One verb each; `make help` lists them, and CI runs the same ones.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
CHECKS := .venv-artifacts
# Terraform's provider can be built where Go is; where Terraform is not, nothing asks for it.
HELM_PROVIDER := $(if $(and $(shell command -v go),$(shell command -v terraform)),$(CHECKS)/bin/terraform-provider-helm)
COMPOSE := docker compose --env-file compose/.env --env-file compose/secrets.env \
           $(foreach f,compose $(LAYERS),-f compose/$(f).yaml)
READY  := $(VENV)/.ready

MEMBERS  := schemas libs/servicekit libs/stores libs/local libs/tailrace services/ingest services/trainer services/predictor services/drift-monitor services/deployer
LOCKED   := ingest trainer predictor drift-monitor deployer
EDITABLE := $(foreach m,$(MEMBERS),-e $(m))
PYPROJECTS := pyproject.toml $(foreach m,$(MEMBERS),$(m)/pyproject.toml)
NAMES    := event-schemas servicekit stores local tailrace $(LOCKED)
COMPILE  := pip compile --quiet --universal --generate-hashes --no-header --no-annotate $(foreach n,$(NAMES),--no-emit-package $(n))

.DEFAULT_GOAL := help
.PHONY: help setup demo drill up down status logs test test-conformance test-kafka chaos compose-up compose-down compose-backup compose-restore bench bench-capacity bench-kit bench-memory bench-overload bench-scoring bench-serving bench-swap lock-bench check check-artifacts check-live check-traces lint types format generate lock check-lock clean

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv from the hashed locks

$(READY): locks/bootstrap.txt locks/dev.txt $(PYPROJECTS)
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else f"Tailrace needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is {sys.version.split()[0]}: choose another with make PYTHON=python3.11")'
	@echo "Setting up .venv (about a minute; once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/bootstrap.txt
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --compile-bytecode --no-build-isolation --require-hashes -r locks/dev.txt
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-build-isolation --no-deps $(EDITABLE)
	@touch $@

demo: $(READY) ## Replay the flights of 2013, or MODEL="glucose ...", and watch the loop turn (ARGS=)
	@$(BIN)/tailrace demo $(foreach m,$(MODEL),--model $(m)) $(ARGS)

drill: $(READY) ## Lose a stack of its own, restore it, and see that it goes on (ARGS="--rto 60")
	@$(BIN)/tailrace drill $(ARGS)

up: $(READY) ## Start the local stack
	@$(BIN)/tailrace up $(ARGS)

down: $(READY) ## Stop the local stack
	@$(BIN)/tailrace down $(ARGS)

status: $(READY) ## Show what runs, and which version of each model answers
	@$(BIN)/tailrace status $(ARGS)

logs: $(READY) ## Show the logs of the local stack (ARGS="-f predictor" follows one part)
	@$(BIN)/tailrace logs $(ARGS)

test: $(READY) ## Run every test
	@$(BIN)/python -m pytest $(ARGS)

test-conformance: $(READY) ## Ask the predictor 5,000 generated requests, and MLServer's clients to talk to it
	@$(BIN)/python -m bench.serving.environment mlserver
	@CONFORMANCE_CASES=5000 MLSERVER_PYTHON=$(CURDIR)/.bench/serving/mlserver/bin/python $(BIN)/python -m pytest services/predictor/tests/api/test_conformance.py services/predictor/tests/api/oip $(ARGS)

test-kafka: $(READY) ## Run every test that needs a broker on Apache Kafka (Java and Maven)
	@TEST_BROKER=apache $(BIN)/python -m pytest -m integration $(ARGS)

RUNS   ?= 5
SEED   ?= 1
FAULTS ?= 5
BROKER ?= apache
chaos: $(READY) ## Strike a running platform by a seed and judge what it holds (RUNS= SEED= FAULTS= BROKER= ARGS=)
	@$(BIN)/python -m tests.chaos --runs $(RUNS) --seed $(SEED) --faults $(FAULTS) --broker $(BROKER) --nodes $(if $(filter apache,$(BROKER)),3,1) $(ARGS)

compose-up: ## Build and start the platform in Docker (LAYERS="observability airflow tls")
	@compose/secrets.sh
	@$(COMPOSE) up --build --detach --wait

compose-down: ## Stop the platform in Docker; its volumes stay (ARGS=--volumes removes them)
	@$(COMPOSE) down $(ARGS)

compose-backup: ## Save every volume of the platform in Docker (FILE=backup.tar.gz)
	@compose/backup.sh save $(FILE)

compose-restore: ## Put a backup's volumes back, where there are none (FILE=backup.tar.gz)
	@compose/backup.sh restore $(FILE)

SMALL  := flights_parity lake_commits prediction_cache
bench: $(READY) ## Run the benchmarks of a minute or two, each beside what it is compared with (SMALL=lake_commits)
	@for each in $(SMALL); do echo "== $$each"; $(BIN)/python -m bench.small.$$each || exit 1; done

bench-scoring: $(READY) ## Measure `tailrace score` and its memory, beside ONNX Runtime alone and pandas (ARGS="--rounds 1")
	@$(BIN)/python -m bench.scoring $(ARGS)

bench-serving: $(READY) ## Measure the predictor beside other model servers (needs wrk; BROKER=embedded ARGS="--rounds 1 --only full mlserver")
	@TEST_BROKER=$(BROKER) $(BIN)/python -m bench.serving $(ARGS)

bench-swap: $(READY) ## Switch versions a hundred times under 3,000 requests a second (BROKER=embedded ARGS="--switches 10")
	@TEST_BROKER=$(BROKER) $(BIN)/python -m bench.serving.swap $(ARGS)

bench-overload: $(READY) ## Offer the predictor five times its capacity for a minute (BROKER=embedded ARGS="--seconds 10 --dry")
	@TEST_BROKER=$(BROKER) $(BIN)/python -m bench.overload $(ARGS)

lock-bench: $(READY) ## Resolve again what the other model servers of bench-serving need
	@for each in locks/bench/*.in; do $(UV) $(COMPILE) $(ARGS) $$each -o $${each%.in}.txt || exit 1; done

bench-kit: $(READY) ## Measure the kit beside a bare loop and Faust on Apache Kafka (ARGS="--rounds 5")
	@$(BIN)/python -m bench.kit --result bench/results/kit_throughput.json $(ARGS)

bench-capacity: $(READY) ## Measure what a prediction, a label and a record cost each part (Java and Maven)
	@$(BIN)/python -m bench.capacity $(ARGS)

bench-memory: $(READY) ## Replay five million events and watch the memory of every service (ARGS="--events 500000")
	@$(BIN)/python -m bench.memory --result bench/results/memory.json $(ARGS)

check: lint types check-lock check-generated ## Run every check that is not a test

lint: $(READY) ## ruff and the import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: $(READY) ## pyright
	@$(BIN)/pyright

format: $(READY) ## Format and fix what can be fixed
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

generate: $(READY) $(CHECKS)/.ready ## Write what is made from code: schemas, docs of events, metrics and services, dashboards
	@$(BIN)/python -m event_schemas.generate
	@$(BIN)/python docs/metrics.py
	@$(BIN)/python docs/services.py
	@$(CHECKS)/bin/python compose/grafana/generate.py
	@$(CHECKS)/bin/python helm/readme.py

.PHONY: check-generated
check-generated: $(READY) ## Fail if the generated contracts are stale
	@$(BIN)/python -m event_schemas.generate --check
	@$(BIN)/python docs/metrics.py --check
	@$(BIN)/python docs/services.py --check

lock: $(READY) ## Resolve again what changed in the pyprojects (ARGS=--upgrade for all)
	@$(MAKE) --no-print-directory compile-locks INTO=locks

check-lock: $(READY) ## Fail if locks/ and the pyprojects disagree
	@rm -rf .tailrace/locks && mkdir -p .tailrace && cp -r locks .tailrace/locks
	@$(MAKE) --no-print-directory compile-locks INTO=.tailrace/locks
	@diff -r locks .tailrace/locks || { echo "locks/ is stale: run make lock"; exit 1; }

.PHONY: compile-locks
compile-locks:
	@$(UV) $(COMPILE) $(ARGS) locks/bootstrap.in -o $(INTO)/bootstrap.txt
	@$(UV) $(COMPILE) $(ARGS) --group pyproject.toml:dev -o $(INTO)/dev.txt
	@for s in $(LOCKED); do $(UV) $(COMPILE) services/$$s/pyproject.toml -c $(INTO)/dev.txt -o $(INTO)/$$s.txt || exit 1; done
	@$(UV) $(COMPILE) libs/tailrace/pyproject.toml -c $(INTO)/dev.txt -o $(INTO)/tailrace.txt
	@$(UV) $(COMPILE) locks/mlflow.in -c $(INTO)/dev.txt -o $(INTO)/mlflow.txt
	@$(UV) $(COMPILE) --group pyproject.toml:artifacts -o $(INTO)/artifacts.txt

check-artifacts: $(CHECKS)/.ready $(HELM_PROVIDER) ## Check images, compose, chart, rules, dashboards and workflows
	@$(CHECKS)/bin/python -m pytest -c tests/artifacts/pytest.ini tests/artifacts $(ARGS)

check-live: $(CHECKS)/.ready ## Ask a real Prometheus every query of the dashboards during a demo, and find its loop in Jaeger or MLflow
	@$(CHECKS)/bin/python compose/prometheus/live.py --alerts DriftDetected,RolloutRolledBack -- \
	    $(BIN)/python compose/traces/live.py $(ARGS) -- $(BIN)/tailrace demo

check-traces: $(READY) ## Find a turn of the loop in Jaeger (on PATH, or JAEGER=) or in MLflow's page after a demo
	@$(BIN)/python compose/traces/live.py $(ARGS) -- $(BIN)/tailrace demo

$(CHECKS)/.ready: $(READY) locks/artifacts.txt
	@echo "Setting up $(CHECKS) (half a minute; once)"
	@$(PYTHON) -m venv $(CHECKS)
	@VIRTUAL_ENV=$(CHECKS) $(UV) pip install --quiet --require-hashes -r locks/artifacts.txt
	@touch $@

$(CHECKS)/bin/terraform-provider-helm: $(wildcard tests/artifacts/helm_provider/*) | $(CHECKS)/.ready
	@echo "Building the Helm provider for Terraform (a minute or two; once)"
	@cd tests/artifacts/helm_provider && GOTOOLCHAIN=local go build -trimpath -o $(abspath $@) .

clean: ## Remove what setup and the stack made
	@[ ! -x $(BIN)/tailrace ] || $(BIN)/tailrace down
	@rm -rf $(VENV) $(CHECKS) .bench .tailrace report
