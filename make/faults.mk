# Faults on purpose (docs/reliability.md). Each target has a short form, which `make check` runs, and a long one:
#     make faults FAULTS='--most 0'      every system call and own allocation fails; 3 places of each kind otherwise
#     make damage DAMAGE='--flips 2000 --cuts 0'
#     make kills KILLS='--kills 400'
#     make power

FAULTS ?= --most 3
DAMAGE ?= --flips 120 --cuts 60
KILLS  ?= --kills 4
SHIM   := $(BUILD)/faults/shim.so

.PHONY: faults damage kills power mutants
faults: all $(SHIM) $(VENV)/ready ## Make system calls and allocations fail one by one; FAULTS='--most 0': all of them
	$(VPY) tests/faults/campaign.py --bin $(BIN) --shim $(SHIM) --jobs $(JOBS) $(FAULTS)

damage: all $(VENV)/ready ## Flip bits of files and cut them; DAMAGE='--flips 2000 --cuts 0': the long form
	$(VPY) tests/faults/damage.py --bin $(BIN) --jobs $(JOBS) $(DAMAGE)

kills: all $(VENV)/ready ## Kill the workflow at random moments and resume; KILLS='--kills 400': the long form
	$(VPY) tests/faults/kills.py --cores $(JOBS) $(KILLS)

power: all $(SHIM) $(VENV)/ready ## Build every state that a loss of power may leave of an output, and look at it
	$(VPY) tests/faults/power.py --bin $(BIN) --shim $(SHIM) $(POWER)

mutants: all $(SHIM) $(VENV)/ready ## Break the code on purpose: do faults, damage and kills see it?
	$(VPY) tests/faults/mutants.py $(MUTANTS)

$(SHIM): tests/faults/shim.c tests/faults/record.h tests/faults/memory.h $(OUT)/flags
	@mkdir -p $(@D)
	$(if $(Q),@echo '  CC   $@')
	$(Q)$(CC) -std=c11 $(WARN) -O1 -g -fPIC -shared -o $@ $< -ldl
