rule estimate:
    """Says what the configured targets need on the disk and how long they take; makes nothing."""
    log:
        f"{config['cache']}/log/estimate.log",
    threads: workflow.resource_settings.cores or os.cpu_count() or 1
    run:
        tell_estimate(str(log), threads)
