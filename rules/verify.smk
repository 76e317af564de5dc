rule verify:
    """Reads all that stands in the cache and compares its checksums; makes nothing. operate/verify.py says how."""
    log:
        f"{config['cache']}/log/verify.log",
    conda:
        "../envs/boldmill.yaml"
    threads: workflow.resource_settings.cores or os.cpu_count() or 1
    params:
        verify=[*PYTHON, "verify"],
        cache=config["cache"],
    shell:
        "{params.verify:q} --jobs {threads} -- {params.cache:q} > {log:q}"
