# The verbs of the project. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
# The Python inside Kamailio takes the packages of the first python3 on PATH (pyenv puts its own there).
export PATH := /usr/sbin:/usr/bin:/sbin:/bin:$(PATH)

VENV := .venv
BIN  := $(VENV)/bin
# The system's interpreter: Kamailio embeds the same one, so both run the same Python.
PYTHON := /usr/bin/python3
SUDO   := $(if $(filter 0,$(shell id -u)),,sudo)

RUN_PACKAGES := kamailio kamailio-python3-modules kamailio-sqlite-modules python3-yaml python3-venv iproute2
TEST_PACKAGES := $(RUN_PACKAGES) \
    kamailio-mysql-modules kamailio-extra-modules kamailio-utils-modules kamailio-tls-modules \
    kamailio-presence-modules mariadb-server-core sqlite3 baresip-core coturn nftables \
    tshark tcpdump sip-tester sipsak rtpengine-daemon openssl debootstrap
BENCH_PACKAGES := kamailio-lua-modules valgrind

# $(call install_packages,NAMES): install those that are missing; without any it asks dpkg and nothing else.
# No input is read: tshark would ask whether everybody may capture, and noninteractive answers no. The packages
# kamailio, coturn and rtpengine-daemon start a service of theirs, now and at every boot. It would hold the ports that
# `make run` and the laboratory need, so a service that came with this installation is stopped and switched off again;
# one that was there before is the owner's business and is left alone.
define install_packages
@missing=; for package in $(1); do \
    [ "$$(dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null)" = installed ] || missing+=" $$package"; \
done; \
[ -z "$$missing" ] && exit 0; \
echo "Installing$$missing"; \
set -e; apt="$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -q -y"; \
$$apt update </dev/null; \
$$apt install --no-install-recommends $$missing </dev/null; \
for service in kamailio coturn rtpengine-daemon; do \
    [[ " $$missing " == *" $$service "* ]] || continue; \
    if [ -d /run/systemd/system ]; then $(SUDO) systemctl disable --now $$service; \
    elif [ -x /etc/init.d/$$service ]; then \
        $(SUDO) /etc/init.d/$$service stop || echo "$$service had not been started"; \
        $(SUDO) update-rc.d $$service disable; \
    fi; \
done
endef

# $(call pytest,FOLDER): the temporary files of a run as root must not bar the next run as a user.
pytest = env PYTHONDONTWRITEBYTECODE=1 $(abspath $(BIN))/python -m pytest -p no:cacheprovider tests/$(1) $(ARGS)

# $(call contract,SUITE): with the Kamailio of a Debian suite (root), without SUITE with the installed one.
contract = $(if $(1),$(SUDO)) $(call pytest,server/test_fake_contract.py tests/server/test_stubs_of_a_server.py) --quiet $(if $(1),--debian $(1))

# $(call parity,SUITE,ARGS): with the Kamailio of a Debian suite, without SUITE with the installed one.
parity = $(SUDO) env PYTHONDONTWRITEBYTECODE=1 $(abspath $(BIN))/python -m tests.parity $(if $(1),--debian $(1)) $(2) $(ARGS)

# With docker compose: `make user` and `make reload` mean the stack while it runs, else the Kamailio of `make run`.
# In a cluster a registrar takes the user, and all servers load their routes.
SERVING = docker compose --profile '*' ps --status running --services 2>/dev/null | grep -xE
KNOWS_USERS = $(SERVING) -m1 'kamailio|registrar-[12]'
HAS_ROUTES = $(SERVING) 'kamailio|edge-[12]|registrar-[12]'
IN_STACK = docker compose --profile '*' exec $$([ -t 0 ] || echo --no-TTY)
USER_ARGS = $(if $(DOMAIN),--domain $(DOMAIN)) $(ARGS)

ifneq ($(filter user,$(MAKECMDGOALS)),)
$(if $(NAME),,$(error which user? make user NAME=alice))
endif

.PHONY: docs docs-screens help run user user-here up down logs reload reload-here lab setup test test-unit test-server test-nat test-compose soak parity parity-all contract-all bench bench-full bench-micro check dist clean run-packages test-packages bench-packages

help: ## List the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

run: run-packages $(VENV)/run.stamp ## Run Kamailio and the media relay here, ready for a phone (DOMAIN= ARGS=)
	@$(BIN)/kemi run $(if $(DOMAIN),--domain $(DOMAIN)) $(ARGS)

user: ## Add a user who may register and call (NAME=alice DOMAIN=)
	@server=$$($(KNOWS_USERS)); \
	if [ "$$server" ]; then $(IN_STACK) $$server kemi user add $(NAME) $(USER_ARGS); \
	else $(MAKE) --no-print-directory user-here; fi

user-here: run-packages $(VENV)/run.stamp
	@$(BIN)/kemi user add $(NAME) $(USER_ARGS)

up: ## Build and start the stack of docker compose; makes .env (PROFILE=phones, monitor, "cluster monitor")
	@python3 docker/stack.py prepare $(PROFILE)
	@$(if $(filter cluster,$(PROFILE)),SINGLE_SERVER=0) docker compose $(foreach one,$(PROFILE),--profile $(one)) up --detach --build --wait $(ARGS)
	@python3 docker/stack.py welcome

down: ## Stop the stack; users and registrations stay (ARGS=-v: remove them, too)
	@docker compose --profile '*' down $(ARGS)

logs: ## Follow the stack's logs (ARGS=kamailio)
	@docker compose --profile '*' logs --follow --tail 100 $(ARGS)

reload: ## Serve the changed routes and settings from the next message on
	@servers=$$($(HAS_ROUTES)); \
	if [ "$$servers" ]; then for server in $$servers; do $(IN_STACK) $$server kemi reload $(ARGS) || exit; done; \
	else $(MAKE) --no-print-directory reload-here; fi

reload-here: $(VENV)/run.stamp
	@$(BIN)/kemi reload $(ARGS)

lab: setup ## Show calls between real phones behind real NATs, page in runs/lab (root; ARGS=)
	@$(SUDO) $(abspath $(BIN))/kemi lab $(ARGS)

setup: test-packages $(VENV)/dev.stamp ## Install what tests and laboratory need

test: setup ## All tests: unit, server, nat
	@failed=; for tier in unit server nat; do \
	    $(MAKE) --no-print-directory test-$$tier || failed+=" $$tier"; \
	done; \
	if [ -n "$$failed" ]; then echo "Failed:$$failed"; exit 1; fi; echo "All tiers passed"

test-unit: $(VENV)/dev.stamp ## The rules and the library, without Kamailio
	@echo "== unit: the rules and the library, without Kamailio"
	@$(call pytest,unit -n 2 --dist loadfile)

soak: setup ## What takes minutes: a thousand reloads while messages flow
	@echo "== soak: a thousand reloads while messages flow"
	@$(call pytest,server -m soak)

test-server: setup ## A real Kamailio, a real relay, real databases
	@echo "== server: a real Kamailio, a real relay, real databases"
	@$(call pytest,server -n 4 --dist loadfile)

test-nat: setup ## Real phones behind real NATs, in network namespaces (root)
	@echo "== nat: real phones behind real NATs, in network namespaces"
	@$(SUDO) $(call pytest,nat -n 4 --dist worksteal)

test-compose: setup ## The stack of docker compose, in a Docker engine of its own (root)
	@echo "== compose: the stack in containers, in a Docker engine of its own"
	@$(SUDO) $(call pytest,compose)

parity: setup ## Message by message, our server against Kamailio's own configuration (root; SUITE=trixie or forky, ARGS=)
	@$(call parity,$(SUITE))

parity-all: setup ## The same on three Kamailios: the installed one, and a third of the cases on Debian 13's and testing's
	@echo "== parity: does the comparison find what was broken on purpose?"
	@$(SUDO) $(call pytest,parity/test_harness.py)
	@echo "== parity: the stock file and our routes, message by message"
	@$(call parity)
	@$(call parity,trixie,--sample 3)
	@$(call parity,forky,--sample 3)

contract-all: setup ## The fake KSR of kemi.testing, and what is known of KSR, against three Kamailios
	@$(call contract)
	@$(call contract,trixie)
	@$(call contract,forky)

bench: setup bench-packages ## CPU time per request against the stock file and Kamailio's examples, as ratios; two minutes (ARGS=)
	@$(BIN)/python -m bench run --allocators qm,tlsf --contestants stock,kemi,python,lua --rounds 15 $(ARGS)

bench-full: setup bench-packages ## All figures of docs/speed-results.md, kept in bench/history; 15 minutes (root for SUITE=trixie or forky)
	@$(if $(SUITE),$(SUDO)) $(abspath $(BIN))/python -m bench full --keep $(if $(SUITE),--debian $(SUITE)) $(ARGS)

bench-micro: setup ## Cost of entering Python, a guard, a rule, each KSR call; calls per request (root for SUITE=)
	@$(if $(SUITE),$(SUDO)) $(abspath $(BIN))/python -m bench.micro $(if $(SUITE),--debian $(SUITE)) $(ARGS)

docs: $(VENV)/dev.stamp ## Build the documents into build/docs; warnings are errors, dead links among them
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --jobs auto docs build/docs

docs-screens: setup ## Take the pictures of terminals in docs/screens anew
	$(BIN)/python docs/screens.py

check: $(VENV)/dev.stamp ## Lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

dist: $(VENV)/dev.stamp ## Wheel and sdist of a release, checked, in dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

clean: ## Remove what tests and tools left; users and logs in var/ stay
	$(SUDO) rm -rf runs build dist .pytest_cache .mypy_cache .ruff_cache
	$(SUDO) find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

run-packages:
	$(call install_packages,$(RUN_PACKAGES))

test-packages:
	$(call install_packages,$(TEST_PACKAGES))

bench-packages:
	$(call install_packages,$(BENCH_PACKAGES))

# What runs is a subset of what tests need: a stamp for each.
$(VENV)/run.stamp: pyproject.toml | run-packages
	$(call make_venv,relay)
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | test-packages
	$(call make_venv,dev)
	@touch $@ $(VENV)/run.stamp

define make_venv
@echo "Installing kemi[$(1)] into $(VENV)"
@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[$(1)]'
endef
