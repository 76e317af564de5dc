# Dependencies. The build needs Debian packages, everything in Python lives in .venv at pinned versions.
# deps-build and .venv run by themselves when something is missing: with apt where we are root or have sudo without
# a password, otherwise they print what to install.

PYTHON     ?= python3
VENV       := .venv
VPY        := $(VENV)/bin/python

.PHONY: deps deps-build deps-python
deps: deps-build $(VENV)/ready ## Install or list what is missing (Debian packages, .venv)

deps-build:
	@CC='$(CC)' CPPFLAGS='$(CPPFLAGS)' LDFLAGS='$(LDFLAGS)' make/need.sh $(firstword $(CC)):$(notdir $(firstword $(CC))) \
	  pkg-config:pkg-config hdf5.pc:libhdf5-dev zlib.pc:zlib1g-dev jansson.pc:libjansson-dev $(if $(filter no,$(ISAL)),,optional:libisal.pc:libisal-dev)

# A real Slurm for tests (tests/slurmcluster.py). Where it cannot be had they are skipped; of the database, accounting alone.
.PHONY: deps-slurm
deps-slurm: ## Install Slurm for the tests of profiles/slurm
	@PATH="$$PATH:/usr/sbin" make/need.sh optional:munged:munge optional:slurmctld:slurmctld optional:slurmd:slurmd \
	  optional:sbatch:slurm-client
	@PATH="$$PATH:/usr/sbin" make/need.sh optional:slurmdbd:slurmdbd optional:mariadbd:mariadb-server-core \
	  optional:mariadb:mariadb-client-core

# A real Grid Engine for tests (tests/sgecluster.py): unpacked, not installed, so that no daemon of the system starts.
SGE_DEBS := gridengine-master gridengine-exec gridengine-client gridengine-common libjemalloc2 libmunge2 libhwloc15 libtirpc3
.PHONY: deps-sge
deps-sge: build/gridengine/ready ## Unpack Grid Engine for the tests of profiles/sge (Debian alone)
build/gridengine/ready:
	@mkdir -p $(@D)/debs
	cd $(@D)/debs && apt-get download -qq $(SGE_DEBS)
	for deb in $(@D)/debs/*.deb; do dpkg-deb -x $$deb $(@D) || exit 1; done
	@touch $@

deps-python:
	@PYTHON='$(PYTHON)' make/need.sh $(PYTHON):python3 venv:python3-venv

$(VENV)/ready: requirements.txt | deps-python
	@$(PYTHON) -c 'import sys; sys.version_info < (3, 11) and sys.exit("make: $(PYTHON) is Python %d.%d, and 3.11 or newer is needed; give another: make PYTHON=python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(VPY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

# A file system with quotas for a test; without it that test is skipped, as it is for those who may not mount.
.PHONY: deps-quota
deps-quota:
	@[ "$$(id -u)" != 0 ] || PATH="$$PATH:/usr/sbin" make/need.sh optional:mkfs.btrfs:btrfs-progs

# A browser looks at the report in a test; without it that test is skipped.
.PHONY: deps-browser
deps-browser:
	@make/need.sh optional:chromium:chromium

# torch is large: only what trains, and its tests, need it.
$(VENV)/train-ready: requirements-train.txt $(VENV)/ready
	$(VPY) -m pip install --quiet --disable-pip-version-check -r requirements-train.txt
	@touch $@

.PHONY: python
python: $(VENV)/ready deps-build ## Install the Python package into .venv
	$(VPY) -m pip install --quiet --disable-pip-version-check --no-deps .
