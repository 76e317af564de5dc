# boldmill: `make demo` shows it, `make check` proves it, `make help` lists the rest.

VERSION := 0.1.0
PREFIX  ?= /usr/local
ifeq ($(origin CC),default)
CC      := gcc
endif
AR      ?= ar
BUILD   ?= build
VARIANT ?= release
# ISAL=no builds with zlib alone; by default ISA-L is used where pkg-config finds it.
ISAL    ?= auto
# V=1 shows the commands.
V       ?= 0
Q       := $(if $(filter 0,$(V)),@)
JOBS    ?= $(shell nproc 2>/dev/null || echo 2)
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
# Objects are kept: none is an intermediate file to be removed.
.SECONDARY:

include make/deps.mk

# ---- what to build ----
PROGRAMS := nifti2h5 detrend denoise zscore hrfshift applymask concat shuffleidx synthnsd boldinfo boldqc
LIB_SRC  := $(sort $(wildcard lib/core/*.c lib/ops/*.c lib/io/*.c lib/load/*.c))
# Variants keep their objects apart: release in build/release and bin/, the others wholly in build/VARIANT.
OUT      := $(BUILD)/$(VARIANT)$(if $(findstring clang,$(CC)),-$(notdir $(CC)))$(if $(filter no,$(ISAL)),-zlib)
BIN      := $(if $(filter release,$(notdir $(OUT))),bin,$(OUT)/bin)

PKGS     := hdf5 zlib jansson
# What pkg-config does not know is taken where the compiler finds it: CPATH and LIBRARY_PATH, which modules of clusters
# set, or CPPFLAGS and LDFLAGS.
KNOWN     = $(foreach pkg,$(PKGS),$(shell pkg-config --exists $(pkg) 2>/dev/null && echo $(pkg)))
PLAIN     = $(patsubst %,-l%,$(patsubst zlib,z,$(filter-out $(KNOWN),$(PKGS))))
HAVE_ISAL = $(if $(filter no,$(ISAL)),,$(shell pkg-config --exists libisal 2>/dev/null && echo yes))
WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wcast-align \
            -Wcast-qual -Wstrict-prototypes -Wold-style-definition -Wmissing-prototypes -Wredundant-decls \
            -Wimplicit-fallthrough -Wformat=2 -Wundef -Wvla -Wpointer-arith -Wwrite-strings -Werror
ifeq ($(findstring clang,$(CC)),)
WARN     += -Wlogical-op -Wduplicated-cond -Wduplicated-branches
endif
# No contraction of a*b+c: the same bits whether or not the processor has fused multiply-add.
COMMON   := -std=c11 -D_GNU_SOURCE -DBM_VERSION='"$(VERSION)"' -ffp-contract=off -fPIC -pthread -Ilib -Ibin-src
HARDEN   := -D_FORTIFY_SOURCE=2 -fstack-protector-strong
LDHARDEN := -Wl,-z,relro,-z,now
FLAGS_release := -O3 -g $(HARDEN)
FLAGS_debug   := -O0 -g3
FLAGS_asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
FLAGS_tsan    := -O1 -g -fsanitize=thread
FLAGS_fuzz    := -O2 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
                 -DBM_SMALL_BUFFERS
FLAGS_msan    := -O2 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,memory -fno-sanitize-recover=all \
                 -DBM_SMALL_BUFFERS
# The place of the counts is built in, so that it does not hang on the environment or the working directory.
FLAGS_coverage = -O1 -g -fprofile-instr-generate=$(abspath $(OUT))/counts/%m.profraw -fcoverage-mapping \
                 -fprofile-update=atomic
ifeq ($(FLAGS_$(VARIANT)),)
$(error VARIANT=$(VARIANT) is not one of release debug asan tsan fuzz msan coverage)
endif
ALL_CFLAGS = $(COMMON) $(WARN) $(FLAGS_$(VARIANT)) $(if $(HAVE_ISAL),-DBM_HAVE_ISAL) \
             $(shell pkg-config --cflags $(KNOWN) $(if $(HAVE_ISAL),libisal) 2>/dev/null) $(CPPFLAGS) $(CFLAGS)
ALL_LIBS   = $(FOUND_LIBS) $(PLAIN) -lm
FOUND_LIBS = $(shell pkg-config --libs $(KNOWN) $(if $(HAVE_ISAL),libisal) 2>/dev/null)
# Libraries that are not the system's are found again without LD_LIBRARY_PATH.
RPATHS     = $(patsubst -L%,-Wl$(COMMA)-rpath$(COMMA)%,$(filter-out -L/usr/%,$(filter -L%,$(FOUND_LIBS))))
COMMA     := ,
ALL_LDFLAGS = -pthread $(FLAGS_$(VARIANT)) $(LDHARDEN) $(RPATHS) $(LDFLAGS)

LIB_OBJ  := $(LIB_SRC:%.c=$(OUT)/%.o)
STATIC   := $(OUT)/libboldmill.a
SHARED   := $(OUT)/libboldmill.so.0
# What programs share on the command-line side, or need besides their own file.
CLI_OBJ  := $(patsubst %,$(OUT)/bin-src/%.o,cli clean masks reader scans spool typos boldinfo_print boldinfo_tables boldinfo_text)

.DEFAULT_GOAL := all
.PHONY: all
all: $(PROGRAMS:%=$(BIN)/%) $(STATIC) $(SHARED) $(OUT)/boldmill.pc $(OUT)/_core.so ## Build the programs into bin/; make alone does it
	@$(if $(HAVE_ISAL),true,echo "note: built with zlib only$(if $(filter no,$(ISAL)), as asked; , as ISA-L was not found; )inflating takes about twice as long")

$(BIN)/%: $(OUT)/bin-src/%.o $(OUT)/libcli.a $(STATIC)
	@mkdir -p $(@D)
	$(if $(Q),@echo '  LD   $@')
	$(Q)$(CC) $(ALL_LDFLAGS) $(WRAP_EXIT) -pie -o $@ $^ $(ALL_LIBS)

$(OUT)/libcli.a: $(CLI_OBJ)
$(STATIC): $(LIB_OBJ)
$(STATIC) $(OUT)/libcli.a:
	$(if $(Q),@echo '  AR   $@')
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(SHARED): $(LIB_OBJ)
	$(if $(Q),@echo '  LD   $@')
	$(Q)$(CC) $(ALL_LDFLAGS) -shared -Wl,-soname,$(notdir $@) -o $@ $^ $(ALL_LIBS)

# What the Python package calls: the layers that need no library but the system's. setup.py builds the same.
CORE_OBJ := $(filter-out $(OUT)/lib/io/%,$(LIB_OBJ))
$(OUT)/_core.so: $(CORE_OBJ)
	$(if $(Q),@echo '  LD   $@')
	$(Q)$(CC) $(ALL_LDFLAGS) -shared -o $@ $^ -lm

# Header dependencies come from the compiler (-MMD): touching a header rebuilds what includes it, no more. Objects
# depend on the flags file, so that another compiler, flag or ISA-L rebuilds them.
$(OUT)/%.o: %.c $(OUT)/flags | deps-build
	@mkdir -p $(@D)
	$(if $(Q),@echo '  CC   $@')
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/flags: FORCE | deps-build
	@mkdir -p $(@D)
	@echo '$(CC) $(subst ','\'',$(ALL_CFLAGS))' | cmp -s - $@ || echo '$(CC) $(subst ','\'',$(ALL_CFLAGS))' > $@

$(OUT)/boldmill.pc: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include/boldmill' '' \
	  'Name: boldmill' 'Description: fMRI runs to arrays that models train on' 'Version: $(VERSION)' \
	  'Requires.private: $(KNOWN) $(if $(HAVE_ISAL),libisal)' 'Libs: -L$${libdir} -lboldmill' \
	  'Libs.private: $(PLAIN) -lm -pthread' 'Cflags: -I$${includedir}' > $@

-include $(LIB_OBJ:.o=.d) $(PROGRAMS:%=$(OUT)/bin-src/%.d) $(CLI_OBJ:.o=.d) $(wildcard $(OUT)/tests/unit/*.d)

.PHONY: FORCE
FORCE:

include make/check.mk make/docs.mk make/workflow.mk make/bench.mk make/demo.mk make/fuzz.mk make/faults.mk make/analysis.mk
include make/sharedfs.mk make/dist.mk

# ---- variants, installation, cleaning ----
.PHONY: debug asan tsan install uninstall clean distclean help
debug asan tsan: ## Build a variant into build/VARIANT (debug, address+undefined sanitizers, thread sanitizer)
	$(MAKE) VARIANT=$@ all

install: all man ## Install programs, manual pages, library, headers and pkg-config file under PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/share/man/man1
	install $(PROGRAMS:%=$(BIN)/%) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(MAN) $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(STATIC) $(DESTDIR)$(PREFIX)/lib/libboldmill.a
	install -m 755 $(SHARED) $(DESTDIR)$(PREFIX)/lib/$(notdir $(SHARED))
	ln -sf $(notdir $(SHARED)) $(DESTDIR)$(PREFIX)/lib/libboldmill.so
	install -m 644 $(OUT)/boldmill.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig
	for d in core ops io load; do install -d $(DESTDIR)$(PREFIX)/include/boldmill/$$d && \
	  install -m 644 lib/$$d/*.h $(DESTDIR)$(PREFIX)/include/boldmill/$$d || exit 1; done

uninstall: ## Remove what install wrote
	rm -f $(PROGRAMS:%=$(DESTDIR)$(PREFIX)/bin/%) $(PROGRAMS:%=$(DESTDIR)$(PREFIX)/share/man/man1/%.1)
	rm -f $(DESTDIR)$(PREFIX)/lib/libboldmill.*
	rm -f $(DESTDIR)$(PREFIX)/lib/pkgconfig/boldmill.pc
	rm -rf $(DESTDIR)$(PREFIX)/include/boldmill

clean: ## Remove what make built (not caches, data or the virtual environment)
	rm -rf $(BUILD) bin

distclean: clean ## Remove the virtual environment too
	rm -rf .venv

# Targets of `make help` that come first, in their order; the others follow.
HELP_USE     := all demo fetch workflow cache/% estimate report verify tidy
HELP_INSTALL := deps python install uninstall dist clean distclean help
help: ## List the targets
	@grep -hE '^[a-zA-Z_%/ .-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([^:]+):.*## (.*)/\1|\2/' \
	  | awk -v use='$(HELP_USE)' -v install='$(HELP_INSTALL)' -f make/help.awk
