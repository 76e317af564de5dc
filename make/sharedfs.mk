# Shared file systems (docs/shared-filesystems.md): a slow file system for tests, counted calls, left-over temporaries.

SLOWFS := $(BUILD)/sharedfs/slowfs

.PHONY: deps-sharedfs slowfs metadata-count tidy
deps-sharedfs:
	@make/need.sh optional:fuse3.pc:libfuse3-dev optional:fusermount3:fuse3 optional:strace:strace

slowfs: $(SLOWFS) ## Build the file system of the tests: slow, coarse times, no locks (needs libfuse3-dev)
$(SLOWFS): tests/sharedfs/slowfs.c $(OUT)/flags
	@mkdir -p $(@D)
	$(if $(Q),@echo '  CC   $@')
	$(Q)$(CC) -std=c11 $(WARN) -O1 -g $$(pkg-config --cflags fuse3) -o $@ $< $$(pkg-config --libs fuse3)

metadata-count: all deps-sharedfs $(VENV)/ready ## Count the calls that a file server gets, for each program and for the workflow
	$(VPY) bench/metadata.py --bin $(BIN) $(METADATA)

tidy: $(VENV)/ready ## Remove what killed programs left in the cache; TIDY='--dry-run', TIDY='--age 1h FOLDER...'
	@$(VPY) rules tidy $(TIDY)
