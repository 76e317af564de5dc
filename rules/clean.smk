rule clean:
    """Cleans and labels all voxels of one packed session."""
    input:
        session=f"{SUBJECT}/session_{{session}}.h5",
        designs=label_files,
        cleaning=cleaning_files,
    output:
        f"{SUBJECT}/session_{{session}}.clean.h5",
    log:
        f"{LOG}/session_{{session}}.clean.log",
    benchmark:
        f"{BENCHMARK}/session_{{session}}.clean.tsv"
    conda:
        "../envs/boldmill.yaml"
    threads: config["threads"]["arrays"]
    resources:
        mem_mb=asks.memory(768),
        runtime=asks.minutes(10, per_gb=2),
    params:
        states=states_of(label_files, cleaning_files),
        stages=lambda wildcards: clean_stages(wildcards, config["clean"]["dtype"]),
        options=command.options(store=config["pack"]["store"]),
    shell:
        "threads={threads}; (concat --threads $threads --allow-gaps -- {input.session:q} - | {params.stages}"
        " concat --threads $threads --allow-gaps {params.options} -- - {output:q}) 2> {log:q}"
