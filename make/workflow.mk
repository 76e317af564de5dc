# Make's door to the workflow: `make cache/subj01/general.fmri.npy`, `make workflow ARGS='-n'`. Snakemake decides what
# has to be done, so it is asked every time. ARGS are options for Snakemake; JOBS is the number of cores (all).

.PHONY: workflow workflow-goals verify fetch report estimate
SNAKEMAKE = $(VENV)/bin/snakemake -j$(JOBS) $(ARGS)
TOOLS     = $(VENV)/ready $(PROGRAMS:%=$(BIN)/%)

workflow: $(TOOLS) ## Make everything that config.yaml asks for (ARGS='...' goes to Snakemake, JOBS=N)
	$(SNAKEMAKE)

fetch: $(VENV)/ready ## Download what config.yaml needs from its bucket (ARGS='--dry-run', or see docs/download.md)
	@$(VPY) rules fetch $(ARGS)

verify: $(TOOLS) ## Read everything in the cache and compare all checksums
	$(SNAKEMAKE) -- verify

report: $(TOOLS) ## Draw cache/subj01/report.html of every subject: quality of the runs, counts, settings
	$(SNAKEMAKE) -- report

estimate: $(TOOLS) ## Say how much disk and time the configured targets will take
	$(SNAKEMAKE) -- estimate

# All goals in one call: two calls at a time would wait for each other's lock.
CACHE_GOALS := $(filter cache/%,$(MAKECMDGOALS))
ifneq ($(CACHE_GOALS),)
$(CACHE_GOALS): workflow-goals ;
workflow-goals: $(TOOLS)
	$(SNAKEMAKE) -- $(foreach goal,$(CACHE_GOALS),'$(goal)')
else
cache/%: $(TOOLS) FORCE ## Make one result, such as cache/subj01/general.fmri.npy
	$(SNAKEMAKE) -- '$@'
endif
