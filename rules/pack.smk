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
        mem_mb=lambda wildcards, attempt: 1024 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        options=pack_options,
        rows=design_rows,
    shell:
        "nifti2h5 --threads {threads} {params.options} -- {input.runs:q} {output:q} 2> {log:q}"
