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

# $(call parity,SUITE,ARGS): with the Kamailio of a Debian suite, without SUITE with the installed one.
parity = $(SUDO) env PYTHONDONTWRITEBYTECODE=1 $(abspath $(BIN))/python -m tests.parity $(if $(1),--debian $(1)) $(2) $(ARGS)

ifneq ($(filter user,$(MAKECMDGOALS)),)
$(if $(NAME),,$(error which user? make user NAME=alice))
endif

.PHONY: help run user lab setup test test-unit test-server test-nat parity parity-all bench check clean run-packages test-packages

help: ## List the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

run: run-packages $(VENV)/run.stamp ## Run Kamailio and the media relay here, ready for a phone (DOMAIN= ARGS=)
	@$(BIN)/kemi run $(if $(DOMAIN),--domain $(DOMAIN)) $(ARGS)

user: run-packages $(VENV)/run.stamp ## Add a user who may register and call (NAME=alice DOMAIN=)
	@$(BIN)/kemi user add $(NAME) $(if $(DOMAIN),--domain $(DOMAIN)) $(ARGS)

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
	@$(call pytest,unit)

test-server: setup ## A real Kamailio, a real relay, real databases
	@echo "== server: a real Kamailio, a real relay, real databases"
	@$(call pytest,server)

test-nat: setup ## Real phones behind real NATs, in network namespaces (root)
	@echo "== nat: real phones behind real NATs, in network namespaces"
	@$(SUDO) $(call pytest,nat)

parity: setup ## Message by message, our server against Kamailio's own configuration (root; SUITE=trixie or forky, ARGS=)
	@$(call parity,$(SUITE))

parity-all: setup ## The same on three Kamailios: the installed one, and a third of the cases on Debian 13's and testing's
	@echo "== parity: does the comparison find what was broken on purpose?"
	@$(SUDO) $(call pytest,parity/test_harness.py)
	@echo "== parity: the stock file and our routes, message by message"
	@$(call parity)
	@$(call parity,trixie,--sample 3)
	@$(call parity,forky,--sample 3)

bench: setup ## CPU time per request against the stock configuration, as a ratio (ARGS=)
	@$(BIN)/python -m bench $(ARGS)

check: $(VENV)/dev.stamp ## Lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean: ## Remove what tests and tools left; users and logs in var/ stay
	$(SUDO) rm -rf runs build .pytest_cache .mypy_cache .ruff_cache
	$(SUDO) find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

run-packages:
	$(call install_packages,$(RUN_PACKAGES))

test-packages:
	$(call install_packages,$(TEST_PACKAGES))

# What runs is a subset of what tests need: a stamp for each.
$(VENV)/run.stamp: pyproject.toml | run-packages
	$(call make_venv,cli$(,)relay)
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | test-packages
	$(call make_venv,dev)
	@touch $@ $(VENV)/run.stamp

, := ,
define make_venv
@echo "Installing kemi[$(1)] into $(VENV)"
@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[$(1)]'
endef
