# One help page a program, from the same option table as --help.

.PHONY: docs docs-check
docs: all ## Write docs/tools/*.md from the programs' option tables
	@mkdir -p docs/tools
	@for p in $(PROGRAMS); do $(BIN)/$$p --help-markdown > docs/tools/$$p.md || exit 1; done

docs-check: all
	@for p in $(PROGRAMS); do $(BIN)/$$p --help-markdown | diff -u docs/tools/$$p.md - || \
	  { echo "docs/tools/$$p.md is not what $$p says; run make docs"; exit 1; }; done
