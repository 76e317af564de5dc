rule estimate:
    """Says what the configured targets need on the disk and how long they take; makes nothing."""
    log:
        f"{config['cache']}/log/estimate.log",
    threads: workflow.cores
    run:
        with open(str(log), "w") as file:
            for line in estimate_lines(threads):
                print(line, file=file)
                print(line, file=sys.stderr, flush=True)
