# Fuzzing: what readers do with files that nobody meant. Needs clang (libFuzzer, address and undefined sanitizers).
#     make fuzz                                    every target, the short form
#     make fuzz FUZZ='--runs 5000000 --only npy'   the long form, one target

FUZZ_OUT := $(BUILD)/fuzz-clang
FUZZ_BIN := $(patsubst tests/fuzz/%.c,$(OUT)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
WRAPPED  := open fstat lseek read close posix_fadvise

.PHONY: fuzz fuzz-build
fuzz: deps-check ## Feed the readers mutated files; FUZZ='--runs N --only TARGET'
	@$(MAKE) --no-print-directory CC=clang VARIANT=fuzz fuzz-build
	@$(VPY) tests/fuzz/run.py --jobs $(JOBS) $(FUZZ)

fuzz-build: $(FUZZ_BIN)

$(OUT)/tests/fuzz/fuzz_%: $(OUT)/tests/fuzz/fuzz_%.o $(OUT)/tests/fuzz/memfile.o $(OUT)/tests/fuzz/mend.o $(STATIC)
	$(if $(Q),@echo '  LD   $@')
	$(Q)$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer $(WRAPPED:%=-Wl,--wrap=%) -o $@ $^ $(ALL_LIBS)
