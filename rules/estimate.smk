# What the configured targets will cost (operate/costs.py).


def run_facts(subject, described):
    """{session: [what is known of a run]} of the runs that will be read. Runs that are still in the bucket must have
    designs, which tell how many time points they have."""
    facts = {}
    for run in all_runs(subject):
        here = run.path in described
        rows = config["pack"]["volumes"] or (DATA.design_length(run.design.path)[0] if run.design else None)
        if not here and not rows:
            on_disk([run.path])
        volumes = described[run.path]["volumes"] if here else rows
        facts.setdefault(run.session, []).append(
            {
                "bytes": os.path.getsize(run.path) if here else SAVED.object(run.path).size,
                "gz": costs.gzipped(run.path),
                "here": here,
                "rows": min(rows or volumes, volumes),
                "volumes": volumes,
            }
        )
    return facts


def counted(file, **mask):
    """What nifti2h5 would keep of a file by a mask: {"cols", "dtype", ...}."""
    return checked(costs.columns, BIN, shlex.split(command.options(**mask)), file)


def brain_facts(subject, paths, here):
    """(voxels, bytes of a sample) of the brain; None where no run is here and sizes of files are enough."""
    if (
        config["route"] == "direct"
        or not here
        and costs.by_size(config["pack"]["store"], all(map(costs.gzipped, paths)))
    ):
        return None
    on_disk(paths[:1])
    told = counted(paths[0], mask=DATA.mask_files(subject))
    return told["cols"], costs.SAMPLE[told["dtype"]]


def roi_voxels(subject, roi, here):
    """Counted in the grid of a run, or of the ROI's own volume where no run is here."""
    volumes = on_disk(DATA.roi_files(subject, roi))
    own = [path for path in volumes if path.endswith((".nii", ".nii.gz"))]
    return counted((here or own or volumes)[0], **rois.options(selection(subject, roi), "mask"))["cols"]


def cost_facts(subject):
    """What costs.subject_costs wants to know."""
    paths = [run.path for run in all_runs(subject)]
    here = [path for path in paths if os.path.exists(path)]
    described = {info["file"]: info for info in summary.describe(os.path.join(BIN, "boldinfo"), here)}
    return {
        "subject": subject,
        "sessions": run_facts(subject, described),
        "brain": brain_facts(subject, paths, here),
        "rois": {roi: roi_voxels(subject, roi, here) for roi in config["rois"]},
        "store": config["pack"]["store"],
        "route": config["route"],
        "stream": STREAMED,
        "history": config["labels"]["history"] if config["layout"]["designs"] else None,
        "out": 2 if config["arrays"]["dtype"] == "float16" else 4,
    }


def estimate_lines(cores):
    every = []
    for subject in subjects():
        facts = cost_facts(subject)
        every.append(costs.subject_costs(facts))
        yield from costs.table(every[-1], facts)
    yield from costs.downloads(every, REMOTE, ROOT)
    yield from costs.together(every, cores, config["cache"])


def tell_estimate(log, cores):
    with open(log, "w") as file:
        for line in estimate_lines(cores):
            print(line, file=file)
            print(line, file=sys.stderr, flush=True)


rule estimate:
    """Says what the configured targets need on the disk and how long they take; makes nothing."""
    log:
        f"{config['cache']}/log/estimate.log",
    threads: workflow.resource_settings.cores or os.cpu_count() or 1
    run:
        tell_estimate(str(log), threads)
