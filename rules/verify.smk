import sys


rule verify:
    """Reads all that stands in the cache and compares its checksums; makes nothing. rules/verify.py says how."""
    log:
        f"{config['cache']}/log/verify.log",
    conda:
        "../envs/boldmill.yaml"
    threads: workflow.resource_settings.cores or os.cpu_count() or 1
    params:
        python=sys.executable,
        script=os.path.join(workflow.basedir, "rules", "verify.py"),
        cache=config["cache"],
    shell:
        "{params.python:q} {params.script:q} --jobs {threads} -- {params.cache:q} > {log:q}"
