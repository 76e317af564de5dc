# Tests. `make check` is what CI runs; `make check-quick` leaves out the other compilers, the sanitizers and the workflow.

UNIT_BIN := $(patsubst tests/unit/%.c,$(OUT)/tests/unit/%,$(wildcard tests/unit/test_*.c))

$(OUT)/tests/unit/%: $(OUT)/tests/unit/%.o $(STATIC)
	$(if $(Q),@echo '  LD   $@')
	$(Q)$(CC) $(ALL_LDFLAGS) $(WRAP_EXIT) -pie -o $@ $^ $(ALL_LIBS)

# Tests of failing allocations bring allocators of their own (tests/unit/failing.h).
$(OUT)/tests/unit/test_memory $(OUT)/tests/unit/test_failing: \
    LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=pthread_create
# Those of failing system calls and of HDF5's failures stand in between, too: what WRAP names in their sources.
WRAPPED_IN = $(shell sed -nE 's/^WRAP(_CLOSE|_TRANSFER)?\(([A-Za-z0-9_]+, )?([A-Za-z0-9_]+)[,)].*/-Wl,--wrap=\3/p' $(1))
$(OUT)/tests/unit/test_hdf5: LDFLAGS += $(call WRAPPED_IN,tests/unit/test_hdf5.c)
$(OUT)/tests/unit/test_system: LDFLAGS += $(call WRAPPED_IN,tests/unit/test_system.c) -Wl,--wrap=open,--wrap=close \
                                          -Wl,--wrap=fsync,--wrap=pthread_create
$(OUT)/tests/unit/test_bytes: LDFLAGS += -Wl,--wrap=isal_deflate

.PHONY: unit check check-quick deps-check format
unit: $(UNIT_BIN) ## Build the unit tests

deps-check: $(VENV)/train-ready deps-slurm deps-browser deps-quota
	@make/need.sh clang:clang sanitizers:libclang-rt-dev clang-tidy:clang-tidy cppcheck:cppcheck valgrind:valgrind

check: deps-check deps-sharedfs ## Run all tests: style, gcc, clang, zlib-only and sanitizer builds, programs, oracles, workflow
	@$(VPY) tests/run.py --jobs $(JOBS) $(CHECK)

check-quick: $(VENV)/ready ## Run the tests of the release build alone
	@$(VPY) tests/run.py --jobs $(JOBS) --quick $(CHECK)

.PHONY: style
style: $(VENV)/ready ## Look at formats, lines and layers: a few seconds, before each commit
	@$(VPY) tests/run.py --only style

# Many jobs at a time: on a busy machine each takes minutes.
PATIENT := BOLDMILL_TEST_PATIENCE=3

.PHONY: slurm-check
slurm-check: all $(VENV)/ready deps-slurm ## Run all tests on a real Slurm, which is started for it
	$(PATIENT) $(VPY) -m pytest -q -p no:cacheprovider tests/test_slurm.py tests/test_slurm_generic.py tests/slurm_long.py

.PHONY: sge-check
sge-check: all $(VENV)/ready deps-sge ## Run the tests on a real Grid Engine, which is started for it
	$(PATIENT) $(VPY) -m pytest -q -p no:cacheprovider tests/test_slurm_generic.py tests/sge_long.py

C_FILES := $(wildcard bin-src/*.[ch] lib/*/*.[ch] tests/unit/*.[ch] tests/fuzz/*.[ch] tests/faults/*.[ch] tests/coverage/*.[ch] tests/sharedfs/*.[ch] tests/analysis/*.h bench/*.[ch])
format: $(VENV)/ready ## Format all sources
	$(VENV)/bin/clang-format -i $(C_FILES)
	$(VENV)/bin/ruff format -q . && $(VENV)/bin/ruff check -q --fix .
	$(VENV)/bin/snakefmt Snakefile rules/*.smk

.PHONY: fidelity
fidelity: all $(VENV)/ready ## Measure how far results are from nilearn, scipy, nibabel and long double: docs/fidelity.md
	BOLDMILL_BIN=$(BIN) OPENBLAS_NUM_THREADS=1 $(VPY) tests/fidelity.py
