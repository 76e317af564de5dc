# The bench: figures on one synthetic session of real size beside their yardsticks (1.1 GB, made once in build/bench).
# make bench BENCH="--disk --repeats 9" passes options on; bench/bench.py --help lists them.

BENCH_TOOLS := $(OUT)/bench/inflate_chunks $(OUT)/bench/inflate_files

$(OUT)/bench/%: $(OUT)/bench/%.o $(STATIC)
	$(CC) $(ALL_LDFLAGS) -pie -o $@ $^ $(ALL_LIBS)

-include $(BENCH_TOOLS:=.d)

.PHONY: bench
bench: all $(BENCH_TOOLS) $(VENV)/ready ## Measure on a session of real size and print a table
	$(VPY) bench/bench.py --bin $(BIN) --tools $(OUT)/bench --data $(BUILD)/bench $(BENCH)

.PHONY: bench-blas
bench-blas: $(STATIC) ## Compare the projection kernel with BLAS products (needs libopenblas-dev)
	@mkdir -p $(OUT)/bench
	$(CC) $(ALL_CFLAGS) bench/panel_vs_blas.c $(STATIC) $(ALL_LDFLAGS) -lopenblas -lm -o $(OUT)/bench/panel_vs_blas
	OPENBLAS_NUM_THREADS=1 $(OUT)/bench/panel_vs_blas
