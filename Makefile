# What one does with this project. `make help` explains itself.

PYTHON ?= python3
# A pipe fails when any part of it does.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c

BIN := .venv/bin
# pip says a hundred lines: show how far it is, and what goes wrong.
PIP = pip() { $(BIN)/python -m pip --disable-pip-version-check --no-color install "$$@" 2>&1 | awk \
    '/^Collecting/ { printf "\r  %d packages looked up: %-40.40s", ++n, $$2; fflush() } \
     /^Installing collected/ { printf "\r  putting %d packages into place ... %30s\n", n, ""; fflush() } \
     /^(ERROR|error)/ || failed { failed = 1; print }'; }; pip
FLASK := $(BIN)/python -m flask

# How to become root without being asked for a password; empty when we are root, "false" when we may not.
AS_ROOT = $$(if [ "$$(id -u)" = 0 ]; then :; elif sudo -n true 2>/dev/null; then echo "sudo -n"; else echo false; fi)
APT := env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test test-how-long test-fast bench check format clean venv venv-dev venv-bench database admin python tools peers

help:  ## Show this list
	@echo "Usage: make <what>"; echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | while IFS='|' read -r name text; do \
	    printf '%-13s %s\n' "$$name" "$$text"; done
	@echo; echo "Settings come from the environment or a file .env (HOST, PORT, DATABASE_URL, ...); README.md lists them."

run: venv database admin  ## Start the system on http://127.0.0.1:8080 (installs what it needs into .venv)
	@where=$$($(BIN)/python -c 'import config; print(config.where())') && \
	printf '%s\n' "" \
	  "  Chargers (OCPP 1.6J)   ws://$$where/ocpp/<identity>" \
	  "  Chargers (flat JSON)   ws://$$where/ocpp" \
	  "  REST API               http://$$where/api    (is it ready? http://$$where/health/ready)" \
	  "" \
	  "  Log in:      curl -s http://$$where/api/auth/login -H 'Content-Type: application/json' \\" \
	  "                 -d '{\"username\": \"$${ADMIN_USERNAME:-admin}\", \"password\": \"<password>\"}'" \
	  "               (curl is missing? sudo apt-get install curl)" \
	  "  Simulate:    $(FLASK) simulate --chargers 10 --url ws://$$where/ocpp    (in a second terminal)" \
	  "  Stop:        Ctrl-C" ""
	@exec $(BIN)/python -m gunicorn -c gunicorn.conf.py wsgi:app

test: tools venv-dev peers test-how-long  ## Run every test but the long fault suite, on SQLite and on MariaDB, over real sockets
	@$(BIN)/python -m pytest -m "not faults" -n $$(($$(nproc) + 1)) --dist loadfile $(ARGS)

test-how-long:
	@echo "About 3,400 tests, one more at a time than there are cores (many wait); on two they take ten minutes. ARGS=\"-k energy\" runs some of them."

test-fast: venv-dev  ## Run the tests that need no server (in memory, on SQLite)
	@$(BIN)/python -m pytest -m "not wire and not mariadb and not peer" $(ARGS)

# Two parts: many beside each other, then those that measure, each alone. 5: none of a part was selected.
.PHONY: test-faults
test-faults: tools venv-dev  ## Kill, freeze, fill and cut things under load (FAULT_SECONDS=60: a soak; FAULT_SEED=...)
	@export FAULT_SEED=$${FAULT_SEED:-$$RANDOM} FAULT_SECONDS=$(FAULT_SECONDS); \
	passed() { [ $$1 = 0 -o $$1 = 5 ]; }; \
	$(BIN)/python -m pytest tests/faults -m "not alone" -n 3 --dist loadgroup $(ARGS); beside=$$?; \
	$(BIN)/python -m pytest tests/faults -m alone $(ARGS); alone=$$?; \
	passed $$beside && passed $$alone && [ $$beside = 0 -o $$alone = 0 ]

# MySQL itself, which Debian 12 does not have: out of Debian's unstable branch, in a root folder under build/.
MYSQL_ROOT ?= build/mysql-root
.PHONY: test-mysql
test-mysql: tools venv-dev $(MYSQL_ROOT)/usr/sbin/mysqld  ## Run the database's tests and the fault suite on MySQL (needs root; optional, 25 minutes)
	@$(MYSQL_ROOT)/usr/sbin/mysqld --version 2>/dev/null || chroot $(MYSQL_ROOT) /usr/sbin/mysqld --version
	@TEST_MYSQL_ROOT=$(MYSQL_ROOT) $(BIN)/python -m pytest -m "mariadb and not faults" $(ARGS)
	@TEST_MYSQL_ROOT=$(MYSQL_ROOT) FAULT_SEED=$(FAULT_SEED) FAULT_SECONDS=$(FAULT_SECONDS) $(BIN)/python -m pytest tests/faults -m mariadb $(ARGS)

$(MYSQL_ROOT)/usr/sbin/mysqld:
	@[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || { \
	    echo "make test-mysql makes a root folder and works in it: it needs root and Debian or Ubuntu."; exit 1; }
	@command -v debootstrap >/dev/null || { $(APT) update && $(APT) install -y --no-install-recommends debootstrap >/dev/null; }
	@mkdir -p $(MYSQL_ROOT)
	@echo "Installing MySQL into $(MYSQL_ROOT) (two minutes, 600 MB) ..."
	@debootstrap --variant=minbase sid $(MYSQL_ROOT) http://deb.debian.org/debian | \
	    awk '{ printf "\r  %-70.70s", $$0; fflush() } END { print "" }'
	@chroot $(MYSQL_ROOT) $(APT) install -y --no-install-recommends mysql-server-core >/dev/null

bench: tools venv-bench peers  ## Run the benchmarks (about 15 minutes; ARGS=--quick tries them out)
	@$(BIN)/python -m bench.run $(ARGS)

.PHONY: cluster
cluster: tools venv-dev  ## Look at two hosts behind a balancer on this machine, with chargers (ARGS="--seconds 60 --kill")
	@$(BIN)/python -m bench.cluster $(ARGS)

check: venv-dev  ## Check style and types, as CI does
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy

# Programs that only these three need, apart from everything else.
TOOLS := hashin==1.0.5 pip-audit==2.10.0 cyclonedx-bom==7.5.0
REQUIREMENTS := requirements.txt requirements-dev.txt requirements-bench.txt
.PHONY: readme audit sbom lock
readme: venv  ## After a change of charger_mgmt/settings.py: write README.md's table
	@$(BIN)/python -m config

audit: build/tools/installed  ## Look the pinned packages up in the list of known weaknesses
	@build/tools/bin/pip-audit --disable-pip --require-hashes -r requirements.txt

sbom: build/tools/installed  ## Write the bill of materials (CycloneDX) to build/sbom.json
	@build/tools/bin/cyclonedx-py requirements requirements.txt --output-format JSON --output-file build/sbom.json
	@echo "build/sbom.json: $$(grep -c '"type": "library"' build/sbom.json) packages"

lock: build/tools/installed  ## After a version in a requirements file was changed: fetch its hashes
	@for file in $(REQUIREMENTS); do \
	    build/tools/bin/hashin -r $$file $$(grep -oE '^[A-Za-z0-9_.-]+==[^ ]+' $$file) || exit 1; done

build/tools/installed: Makefile | python
	@echo "Installing the tools into build/tools ..."
	@mkdir -p build && $(PYTHON) -m venv build/tools && build/tools/bin/pip -q --disable-pip-version-check install $(TOOLS)
	@touch $@

format: venv-dev  ## Put the code into its standard form
	@$(BIN)/python -m ruff check --fix .
	@$(BIN)/python -m ruff format .

clean:  ## Remove what was installed and cached here; the data in instance/ stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build tests/peers/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The steps

python:
	@command -v $(PYTHON) >/dev/null || { \
	    echo "Python 3.11 or newer is needed. On Debian or Ubuntu: sudo apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
	         "Name another one: make PYTHON=python3.12 ..."; exit 1; }

.venv/pyvenv.cfg: | python
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "Python's venv module is missing. On Debian or Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	@echo "Making a virtual environment in .venv ..."
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

# A copy of what was installed tells whether it has changed since.
venv: .venv/pyvenv.cfg
	@cmp -s requirements.txt .venv/installed.txt || { \
	    echo "Installing the requirements into .venv (a minute or two) ..." && { $(PIP) -r requirements.txt; } && cp requirements.txt .venv/installed.txt; }

venv-dev: venv
	@cat requirements.txt requirements-dev.txt | cmp -s - .venv/installed-dev.txt || { \
	    echo "Installing what the tests need into .venv (a minute or two) ..." && { $(PIP) -r requirements-dev.txt; } && \
	    cat requirements.txt requirements-dev.txt > .venv/installed-dev.txt; }

venv-bench: venv-dev
	@cmp -s requirements-bench.txt .venv/installed-bench.txt || { \
	    echo "Installing what the benchmarks need into .venv ..." && { $(PIP) -r requirements-bench.txt; } && \
	    cp requirements-bench.txt .venv/installed-bench.txt; }

database: venv
	@$(FLASK) db upgrade

admin: database
	@$(FLASK) user create-first

# System packages, only those whose programs are missing. The -core packages hold the database server
# without starting one.
tools:
	@missing=""; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	[ -n "$$TEST_DATABASE_URL" ] || PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v mariadbd >/dev/null || missing="$$missing mariadb-server-core mariadb-client-core"; \
	command -v node >/dev/null || missing="$$missing nodejs"; \
	command -v npm >/dev/null || missing="$$missing npm"; \
	PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v haproxy >/dev/null || missing="$$missing haproxy"; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v nginx >/dev/null || missing="$$missing nginx-light"; \
	PATH="$$PATH:/usr/sbin:/sbin" command -v ip >/dev/null || missing="$$missing iproute2"; \
	command -v systemd-analyze >/dev/null || missing="$$missing systemd"; \
	[ -e /usr/lib/galera/libgalera_smm.so ] || missing="$$missing galera-4"; \
	ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || missing="$$missing libfaketime"; \
	[ -n "$$missing" ] || exit 0; \
	as_root="$(AS_ROOT)"; \
	if [ "$$as_root" = false ] || ! command -v apt-get >/dev/null; then \
	    echo "The tests need programs that are missing, and installing them takes root's rights. On Debian or Ubuntu:"; \
	    echo "    sudo apt-get install$$missing"; exit 1; \
	fi; \
	echo "Installing$$missing ..."; \
	$$as_root $(APT) update && \
	$$as_root $(APT) install -y --no-install-recommends $$missing >/dev/null

# Other people's OCPP software that the tests drive the system with.
peers: tools
	@cd tests/peers && { cmp -s package-lock.json node_modules/installed.json || { \
	    echo "Installing the npm packages of the peer tests ..." && \
	    npm ci --no-audit --no-fund --loglevel=error && cp package-lock.json node_modules/installed.json; }; }
