rule fetch:
    """Downloads from the bucket (remote) what this configuration needs and what is not here yet."""
    log:
        f"{config['cache']}/log/fetch.log",
    conda:
        "../envs/boldmill.yaml"
    params:
        settings=lambda wildcards: json.dumps(config),
        fetch=[*PYTHON, "fetch"],
    shell:
        "printf %s {params.settings:q} | {params.fetch:q} --settings - 2>&1 | tee {log:q} >&2"
