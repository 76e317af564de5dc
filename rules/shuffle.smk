rule shuffle:
    """Writes the rows of an ROI's arrays in shuffled order: NAME.shuffle.npy (with shards NAME.shuffle-1-of-4.npy)."""
    input:
        ROWS,
    output:
        indices=index_files(f"{SUBJECT}/{{roi}}.shuffle"),
        json=f"{SUBJECT}/{{roi}}.shuffle.json",
    log:
        f"{LOG}/{{roi}}.shuffle.log",
    benchmark:
        f"{BENCHMARK}/{{roi}}.shuffle.tsv"
    conda:
        "../envs/boldmill.yaml"
    threads: 1
    resources:
        mem_mb=asks.memory(512),
        runtime=asks.minutes(10),
    params:
        options=command.options(**config["shuffle"]),
        stem=f"{SUBJECT}/{{roi}}.shuffle.npy",
    shell:
        "shuffleidx {params.options} -- {input:q} {params.stem:q} 2> {log:q}"


rule split:
    """Deals the rows of an ROI's arrays to training, validation and test: NAME.split.train.npy and so on."""
    input:
        ROWS,
    output:
        indices=index_files(f"{SUBJECT}/{{roi}}.split", config["split"]["parts"]),
        json=f"{SUBJECT}/{{roi}}.split.json",
    log:
        f"{LOG}/{{roi}}.split.log",
    benchmark:
        f"{BENCHMARK}/{{roi}}.split.tsv"
    conda:
        "../envs/boldmill.yaml"
    threads: 1
    resources:
        mem_mb=asks.memory(512),
        runtime=asks.minutes(10),
    params:
        options=command.options(
            **config["shuffle"],
            split=",".join(f"{part}={share}" for part, share in config["split"]["parts"].items()),
            by=config["split"]["by"],
        ),
        stem=f"{SUBJECT}/{{roi}}.split.npy",
    shell:
        "shuffleidx {params.options} -- {input:q} {params.stem:q} 2> {log:q}"
