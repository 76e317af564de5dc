rule verify:
    """Reads all that stands in the cache and compares its checksums; makes nothing. Damaged files are named."""
    log:
        f"{config['cache']}/log/verify.log",
    conda:
        "../envs/boldmill.yaml"
    threads: workflow.resource_settings.cores or os.cpu_count() or 1
    params:
        cache=config["cache"],
    shell:
        "find {params.cache:q} -type f '(' -name '*.h5' -o -name '*.json' ')' -print0 | sort -z"
        " | xargs -0 -r -n 1 -P {threads} boldinfo --verify --quiet -- > {log:q};"
        " echo $(grep -c '^  verified' {log:q}) files are complete, all checksums good >&2"
