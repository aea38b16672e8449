# The commands of this checkout; `make` lists them. What a target needs and does not find, it says.

STACK ?=
PYTHON ?= python3

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# uv as requirements-dev.txt pins it, with its hashes: it installs everything else.
UV_PIN := awk '/^uv==/ {found = 1} found {print} found && !/\\$$/ {exit}' requirements-dev.txt

# Companies' proxies sign with certificates that only the system knows; uv looks there when it is told to.
UV := $(BIN)/uv --system-certs
UV_FAILED := it could not be installed with uv. If it says UnknownIssuer: put the certificate of your network's proxy into the \
  system's store (Debian: /usr/local/share/ca-certificates, then update-ca-certificates), or name it in SSL_CERT_FILE

COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

.DEFAULT_GOAL := help
.PHONY: help venv up rehearse status down doctor agent preview manifests chart simulate dockerfile env compose lock-source bench test e2e nightly lint reference lock lock-packages

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9][a-z0-9-]*:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(INSTALLED) ## install the pinned dependencies into .venv

up: $(INSTALLED) ## deploy a stack on this machine, no cloud account needed (STACK=dev; NODES=real or simulated; JSON=1)
	@$(BIN)/python -m sandbox up $(if $(STACK),--stack $(STACK)) $(if $(NODES),--nodes $(NODES)) $(if $(JSON),--json)

status: $(INSTALLED) ## show what `make up` started (STACK=... for one; JSON=1 for programs)
	@$(BIN)/python -m sandbox status $(if $(STACK),--stack $(STACK)) $(if $(JSON),--json)

rehearse: $(INSTALLED) ## deploy BASE=<git ref>, then the working tree over it, on real pods under load (STACK=dev, JSON=1)
	@$(BIN)/python -m sandbox rehearse $(if $(BASE),--base $(BASE)) $(if $(STACK),--stack $(STACK)) $(if $(JSON),--json)

down: $(INSTALLED) ## end what `make up` started and remove its state (STACK=... for one)
	@$(BIN)/python -m sandbox down $(if $(STACK),--stack $(STACK))

doctor: $(INSTALLED) ## say what this machine can do, what it lacks, and the one command that mends it (JSON=1)
	@$(BIN)/python -m sandbox doctor $(if $(JSON),--json)

agent: $(INSTALLED) ## serve the reference agent on this machine, or the LangGraph project of PROJECT=<folder> (PORT=8000)
	@$(BIN)/python -W ignore -m langgraph_agents_service.local $(if $(PROJECT),--project "$(PROJECT)") $(if $(PORT),--port $(PORT))

preview: $(INSTALLED) ## show what a stack would be made of, without credentials (STACK=dev, BASE=<git ref or plan.json>, JSON=1)
	@$(BIN)/python -m preview $(if $(STACK),--stack $(STACK)) $(if $(BASE),--base $(BASE)) $(if $(JSON),--json)

manifests: $(INSTALLED) ## write the cluster's objects for `kubectl apply -k`: a base, and an overlay for each stack (STACK=dev for one; OUT=<folder>; JSON=1)
	@$(BIN)/python -m manifests $(if $(STACK),--stack $(STACK)) $(if $(OUT),--out "$(OUT)") $(if $(JSON),--json)

chart: $(INSTALLED) ## write a Helm chart for each agent of a stack (STACK=dev; OUT=<folder>; JSON=1)
	@$(BIN)/python -m manifests.chart $(if $(STACK),--stack $(STACK)) $(if $(OUT),--out "$(OUT)") $(if $(JSON),--json)

simulate: $(INSTALLED) ## replay a load against a stack's autoscalers and nodes (STACK=dev, TRACE=<csv>, office-hours, launch or night-batch; JSON=1)
	@$(BIN)/python -m simulate $(if $(STACK),--stack $(STACK)) $(if $(TRACE),--trace "$(TRACE)") $(if $(JSON),--json)

dockerfile: $(INSTALLED) ## show the Dockerfile that AGENT=<name> of a stack is built by, made from its `source` (STACK=dev)
	@$(BIN)/python -m stacks.projects dockerfile $(if $(STACK),--stack $(STACK)) --agent "$(AGENT)"

env: $(INSTALLED) ## write a .env like AGENT=<name> of a stack has it, without secrets (STACK=dev; VALUES=1 with them)
	@$(BIN)/python -m stacks.env_file $(if $(STACK),--stack $(STACK)) --agent "$(AGENT)" $(if $(VALUES),--values)

compose: $(INSTALLED) ## write a folder that runs a stack by Docker Compose (STACK=dev, OUT=<folder>, JSON=1)
	@$(BIN)/python -m compose $(if $(STACK),--stack $(STACK)) $(if $(OUT),--out "$(OUT)") $(if $(JSON),--json)

lock-source: $(INSTALLED) ## resolve the packages of AGENT=<name> and keep them beside its project (STACK=dev)
	@$(BIN)/python -m stacks.projects lock $(if $(STACK),--stack $(STACK)) --agent "$(AGENT)"

bench: $(INSTALLED) ## measure the agent service beside its peers, the preview and the sandbox (twenty minutes on a quiet machine)
	@$(BIN)/python -W ignore -m bench
	@$(BIN)/python -m bench.preview
	@$(BIN)/python -m bench.agents
	@$(BIN)/python -m bench.sandbox

test: $(INSTALLED) ## run the tests that need nothing but PyPI
	$(BIN)/python -m pytest -n auto -m "not e2e and not nightly"

e2e: $(INSTALLED) ## run the tests on the real engine, a real API server and, on Linux as root, real pods (half an hour)
	$(BIN)/python -m pytest -m "e2e and not nightly" tests/e2e tests/service

nightly: $(INSTALLED) ## run the tests that take longer than a change should wait for (half an hour more)
	$(BIN)/python -m pytest -m nightly tests

lint: $(INSTALLED) ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict --exclude tests/e2e/programs .

reference: $(INSTALLED) ## write the settings reference and the schema of stack files anew from the models
	@$(BIN)/python -m stacks.reference
	@$(BIN)/python -m stacks.schema

lock: $(INSTALLED) ## pin the dependencies anew from the requirements*.in files
	$(COMPILE) requirements-dev.in -o requirements-dev.txt
	$(COMPILE) -c requirements-dev.txt requirements.in -o requirements.txt
	$(COMPILE) -c requirements-dev.txt service/requirements.in -o service/requirements.txt
	$(COMPILE) --override images/langgraph-cli.overrides images/langgraph-cli.in -o images/langgraph-cli.txt
	$(COMPILE) service/sbom-requirements.in -o service/sbom-requirements.txt
	$(COMPILE) sandbox/binaries/go/toolchain.in -o sandbox/binaries/go/toolchain.txt

lock-packages: $(INSTALLED) ## pin the packages anew that a real node unpacks (needs apt)
	@$(BIN)/python -m sandbox.binaries.debian

# The agent service is importable from its folder, as an editable install would make it, without a build.
# The bytecode of what a preview and `make up` import is written now, since Pulumi's SDKs without it take five seconds at
# every start where PYTHONDONTWRITEBYTECODE is set; that of everything installed would take a minute.
$(INSTALLED): requirements-dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11 or newer, or give PYTHON=<command>"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$$($(PYTHON) --version) is too old: install Python 3.11 or newer, or give PYTHON=<command>"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); echo "Python's venv module is missing: on Debian, apt install python3-venv"; exit 2; }
	@echo "Installing the pinned dependencies into $(VENV), once ..."
	@test -x $(BIN)/uv || { $(UV_PIN) > $(VENV)/uv.txt && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(VENV)/uv.txt; } || { \
	  echo "uv could not be installed: PyPI has to be reachable"; exit 1; }
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --require-hashes -r requirements-dev.txt || { echo "$(UV_FAILED)"; exit 1; }
	@$(BIN)/python -c 'import pathlib, sysconfig; \
	  site = pathlib.Path(sysconfig.get_path("purelib")); \
	  (site / "langgraph-agents-service.pth").write_text(str(pathlib.Path("service").resolve()))'
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -c 'import sandbox.engine.deploy, sandbox.machine.assembly'
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m preview --brief --stack dev > /dev/null 2>&1 || true
	@touch $@
