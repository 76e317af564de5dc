# What looks at the sources and at running programs: linters, valgrind, coverage.
#     make lint                                 clang-tidy and cppcheck; only what has changed since the last time
#     make valgrind VALGRIND='--all'            every unit test; a part of them otherwise
#     make coverage COVERAGE='--faults 0'       with all places of the fault campaign; else one for each chain of calls

LINT_C   := $(wildcard lib/*/*.c bin-src/*.c)
TIDY     := $(LINT_C:%.c=$(BUILD)/lint/%.tidy)
CPPCHECK := cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,style,performance,portability \
            --suppressions-list=tests/analysis/cppcheck.txt --inline-suppr -Ilib -Ibin-src -D_GNU_SOURCE \
            -DBM_VERSION='"0"' -DBM_HAVE_ISAL --include=tests/analysis/cppcheck.h

.PHONY: lint lint-files valgrind coverage coverage-build deps-lint deps-valgrind deps-coverage
deps-lint:
	@make/need.sh clang:clang clang-tidy:clang-tidy cppcheck:cppcheck

lint: deps-lint deps-build ## Run clang-tidy and cppcheck on what has changed
	@$(MAKE) --no-print-directory CC=clang lint-files

lint-files: $(TIDY) $(BUILD)/lint/cppcheck.done
	@echo '$(words $(TIDY)) files: nothing to say'

$(BUILD)/lint/%.tidy: %.c .clang-tidy $(OUT)/flags
	@mkdir -p $(@D)
	$(if $(Q),@echo '  TIDY $<')
	$(Q)clang-tidy --quiet $< -- $(ALL_CFLAGS) 2>/dev/null
	$(Q)$(CC) $(ALL_CFLAGS) -MM -MP -MT $@ -MF $@.d $<
	@touch $@

$(BUILD)/lint/cppcheck.done: $(LINT_C) $(wildcard lib/*/*.h bin-src/*.h) $(wildcard tests/analysis/cppcheck.*)
	@mkdir -p $(BUILD)/lint/cppcheck
	$(if $(Q),@echo '  CPPCHECK')
	$(Q)$(CPPCHECK) -j $(JOBS) --cppcheck-build-dir=$(BUILD)/lint/cppcheck $(LINT_C)
	@touch $@

-include $(TIDY:%=%.d)

deps-valgrind:
	@make/need.sh valgrind:valgrind

valgrind: all unit deps-valgrind $(VENV)/ready ## Run unit tests and programs under valgrind; VALGRIND='--all'
	@$(VPY) tests/analysis/valgrind.py --jobs $(JOBS) $(VALGRIND)

deps-coverage:
	@make/need.sh clang:clang sanitizers:libclang-rt-dev llvm-cov:llvm

coverage: deps-coverage $(VENV)/ready ## Which lines and branches the tests reach: a table, and build/coverage-clang/html
	@$(MAKE) --no-print-directory CC=clang VARIANT=coverage coverage-build
	@$(VPY) tests/coverage/run.py --jobs $(JOBS) $(COVERAGE)

coverage-build: all unit $(SHIM)

ifeq ($(VARIANT),coverage)
WRAP_EXIT := -Wl,--wrap=_exit,--wrap=raise
$(PROGRAMS:%=$(BIN)/%) $(UNIT_BIN): $(OUT)/tests/coverage/dump.o
endif
