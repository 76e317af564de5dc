# The demo: a small synthetic subject in NSD's layout, through the whole workflow, and a look at the result.

DEMO      := data/demo
DEMO_ARGS := --subjects 1 --sessions 1-3 --dims 24,28,22 --seed 1

.PHONY: demo
demo: $(TOOLS) ## Raw runs of a synthetic subject to training arrays, and a look at them (a minute at most)
	@grep -qx 'root: $(DEMO)' config.yaml || { echo 'make demo: config.yaml names another root than $(DEMO), and its'\
	  'results stand in the same cache; run the demo in a fresh clone' >&2; exit 1; }
	@echo '== a synthetic subject in the layout of the Natural Scenes Dataset: $(DEMO)'
	$(BIN)/synthnsd $(DEMO_ARGS) $(DEMO)
	@echo '== the workflow: snakemake -j$(JOBS) cache/subj01/general.fmri.npy'
	$(SNAKEMAKE) -- cache/subj01/general.fmri.npy
	@echo '== what came out: bin/boldinfo --verify cache/subj01/general.json'
	@$(BIN)/boldinfo --verify cache/subj01/general.json
	@$(VPY) examples/look.py cache/subj01/general $(DEMO)
