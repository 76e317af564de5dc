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

# Linux's own NFS, in a kernel that runs as a process (User-mode Linux): unpacked, not installed.
NFS_DEBS := user-mode-linux nfs-kernel-server nfs-common libnfsidmap1 rpcbind kmod libtirpc3 libtirpc-common libwrap0
.PHONY: deps-nfs nfs-check
deps-nfs: build/nfs/ready
	@PATH="$$PATH:/usr/sbin:/sbin" make/need.sh mkfs.ext4:e2fsprogs ip:iproute2
build/nfs/ready:
	@mkdir -p $(@D)/debs
	cd $(@D)/debs && apt-get download -qq $(NFS_DEBS)
	for deb in $(@D)/debs/*.deb; do dpkg-deb -x $$deb $(@D) || exit 1; done
	@touch $@

nfs-check: all $(VENV)/ready deps-nfs ## Run the tests on a real NFS, in a kernel that is started for it (Debian alone)
	tests/sharedfs/nfs.sh build/nfs $(NFS)

metadata-count: all deps-sharedfs $(VENV)/ready ## Count the calls that a file server gets, for each program and for the workflow
	$(VPY) bench/metadata.py --bin $(BIN) $(METADATA)

tidy: $(VENV)/ready ## Remove what killed programs left in the cache; TIDY='--dry-run', TIDY='--age 1h FOLDER...'
	@$(VPY) rules tidy $(TIDY)
