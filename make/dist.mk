# What is handed out: a tarball of the sources, and what its installation leaves on a machine.

DIST := $(BUILD)/dist/boldmill-$(VERSION)
MAN  := $(PROGRAMS:%=$(OUT)/man/%.1)

.PHONY: dist man
dist: ## Write build/dist/boldmill-VERSION.tar.gz: the committed sources, the same bytes each time
	@git rev-parse --verify -q HEAD >/dev/null || { echo 'make dist: this is no clone; clone the repository first' >&2; exit 1; }
	@git diff --quiet HEAD -- || echo 'note: changes that are not committed are not in the tarball'
	@mkdir -p $(@D) $(BUILD)/dist
	git -c tar.umask=0022 archive --format=tar --prefix=boldmill-$(VERSION)/ HEAD | gzip -9 -n > $(DIST).tar.gz.tmp
	mv $(DIST).tar.gz.tmp $(DIST).tar.gz
	cd $(BUILD)/dist && sha256sum boldmill-$(VERSION).tar.gz | tee boldmill-$(VERSION).tar.gz.sha256

man: $(MAN)
$(OUT)/man/%.1: docs/tools/%.md make/man.py Makefile
	@mkdir -p $(@D)
	$(Q)$(PYTHON) make/man.py $(VERSION) $< > $@

.PHONY: image-check
image-check: all $(VENV)/ready ## Run the container recipes' steps in a fresh Debian 12 (as root, with debootstrap; minutes)
	$(VPY) tests/image.py $(IMAGE)
