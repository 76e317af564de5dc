rule pack:
    """Packs the task runs of one session: the brain's voxels as scanned, lossless."""
    input:
        runs=run_files,
        designs=ancient(design_files),
        mask=mask_file,
    output:
        f"{SUBJECT}/session_{{session}}.h5",
    log:
        f"{LOG}/session_{{session}}.log",
    benchmark:
        f"{BENCHMARK}/session_{{session}}.tsv"
    conda:
        "../envs/boldmill.yaml"
    threads: config["threads"]["pack"]
    resources:
        mem_mb=asks.memory(1024, per_largest=2),
        runtime=asks.minutes(10, per_gb=2),
    params:
        options=pack_options,
        rows=design_rows,
        states=states_of(run_files, mask_file),
    shell:
        "nifti2h5 --threads {threads} {params.options} -- {input.runs:q} {output:q} 2> {log:q}"
