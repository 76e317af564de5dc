# Fuzzing: what readers do with files that nobody meant. Needs clang (libFuzzer and its sanitizers).
#     make fuzz                                    every target, the short form
#     make fuzz FUZZ='--runs 5000000 --only npy'   the long form, one target
#     make fuzz-msan                               the same under the memory sanitizer: uninitialised bytes
#     make fuzz-mutants                            is what is taken out of the readers found?

FUZZ_WHAT := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_OBJ  := $(patsubst %,$(OUT)/tests/fuzz/%.o,memfile mend)
WRAPPED   := open fstat lseek read close posix_fadvise access H5Fopen
# The memory sanitizer must see every library: these are built for it.
MSAN_LIBS := $(abspath $(BUILD))/msan-libs

.PHONY: fuzz fuzz-msan fuzz-mutants fuzz-build
fuzz: deps-check ## Feed the readers mutated files; FUZZ='--runs N --only TARGET'
	@$(MAKE) --no-print-directory CC=clang VARIANT=fuzz fuzz-build
	@$(VPY) tests/fuzz/run.py --jobs $(JOBS) $(FUZZ)

fuzz-msan: deps-check $(MSAN_LIBS)/ready ## The same under the memory sanitizer
	@$(MAKE) --no-print-directory CC=clang VARIANT=msan ISAL=no fuzz-build \
	  CFLAGS=-I$(MSAN_LIBS)/include ALL_LIBS="$(patsubst %,$(MSAN_LIBS)/lib/lib%.a,hdf5 jansson z) -lm"
	@$(VPY) tests/fuzz/run.py --jobs $(JOBS) --sanitizer memory $(FUZZ)

fuzz-mutants: deps-check ## Take checks out of the readers: do the fuzzers see it?
	@$(MAKE) --no-print-directory CC=clang VARIANT=fuzz fuzz-build
	@$(VPY) tests/fuzz/mutants.py $(FUZZ)

$(MSAN_LIBS)/ready: tests/fuzz/msanlibs.sh
	@make/need.sh dpkg-source:dpkg-dev
	tests/fuzz/msanlibs.sh $(MSAN_LIBS)
	@touch $@

fuzz-build: $(FUZZ_WHAT:%=$(OUT)/tests/fuzz/fuzz_%)
-include $(wildcard $(OUT)/tests/fuzz/*.d)

# All but one take the place of the HDF5 library themselves.
$(OUT)/tests/fuzz/fuzz_series: $(OUT)/tests/fuzz/fuzz_series.o $(FUZZ_OBJ) $(STATIC)
$(OUT)/tests/fuzz/fuzz_%: $(OUT)/tests/fuzz/fuzz_%.o $(FUZZ_OBJ) $(OUT)/tests/fuzz/fakeh5.o $(STATIC)
	$(if $(Q),@echo '  LD   $@')
	$(Q)$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer $(WRAPPED:%=-Wl,--wrap=%) -o $@ $^ $(ALL_LIBS)
$(OUT)/tests/fuzz/fuzz_series:
	$(if $(Q),@echo '  LD   $@')
	$(Q)$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer $(WRAPPED:%=-Wl,--wrap=%) -Wl,--wrap=stat -o $@ $^ $(ALL_LIBS)
