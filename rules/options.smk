# Command lines: the options that rules give to the programs, and the targets of a call.


def file_options(name, wildcards):
    """What names one file of the kind a run to a program: a pattern, or the paths."""
    return layout.file_options(of_runs(name, wildcards), runs_of(wildcards))


def design_options(wildcards):
    runs = [run for run in runs_of(wildcards) if run.design]
    return layout.file_options([run.design for run in runs], runs) or None


def read_options(wildcards):
    """Options of nifti2h5 that both routes share."""
    subject, pack = wildcards.subject, config["pack"]
    return {
        "subject": subject_number(subject),
        **layout.number_options(runs_of(wildcards)),
        "volumes": pack["volumes"],
        "design": None if pack["volumes"] else design_options(wildcards),
        "tr": repetition_time(subject),
    }


def pack_options(wildcards):
    return command.options(**read_options(wildcards), mask=mask_file(wildcards), store=config["pack"]["store"])


def roi_options(wildcards, option="roi"):
    return rois.options(selection(wildcards.subject, wildcards.roi), option)


def absent(roi):
    """What becomes of an ROI's voxels outside the stored brain."""
    return rois.normal(config["rois"].get(roi, roi)).get("absent")


def cut_options(wildcards):
    """Options of applymask."""
    return command.options(**roi_options(wildcards), absent=absent(wildcards.roi))


def reader_cuts(wildcards):
    """Whether nifti2h5 itself can cut the ROI; otherwise it reads the brain, and applymask cuts."""
    return not config["layout"]["mask"] and absent(wildcards.roi) in (None, "zero")


STREAMED = REMOTE["stream"]
if STREAMED and (config["route"] != "direct" or {"packed", "clean"} & set(config["targets"])):
    raise WorkflowError("config: remote: stream keeps no run; set route: direct, and leave packed and clean out")
# What nifti2h5 starts to bring a run from the bucket.
READER = command.options(
    reader=[
        *(*PYTHON, "fetch"),
        *("--settings", json.dumps(REMOTE), "--expect", listing.place(ROOT, "listing.json")),
    ]
)


# The runs at the end of its command line, and what goes before it. Beside the log stands how much has come.
SCANS = (
    "{READER} --reader=--tally --reader={log:q}.streamed --reader=--stdout -- {params.streamed:q}"
    if STREAMED
    else "-- {input.runs:q}"
)
BEFORE_SCANS = "rm -f {log:q}.streamed; " if STREAMED else ""


def stored_runs(wildcards):
    """The runs as files, or none where they are streamed."""
    return [] if STREAMED else run_files(wildcards)


def streamed_runs(wildcards):
    """The runs as objects of the bucket, or none."""
    return [SAVED.url_of(run.path) for run in runs_of(wildcards)] if STREAMED else []


def streamed_etags(wildcards):
    """Another object under the same name is another input."""
    return [SAVED.object(run.path).etag for run in runs_of(wildcards)] if STREAMED else []


def streamed_bytes(wildcards):
    return sum(SAVED.object(run.path).size for run in runs_of(wildcards)) if STREAMED else 0


def direct_options(wildcards):
    if STREAMED and not config["layout"]["mask"] and not reader_cuts(wildcards):
        raise WorkflowError(f"config: rois: {wildcards.roi}: absent must be zero where runs are streamed (remote)")
    cut = roi_options(wildcards, "mask") if reader_cuts(wildcards) else {"mask": mask_file(wildcards)}
    return command.options(**read_options(wildcards), **cut)


def direct_stages(wildcards):
    cut = "" if reader_cuts(wildcards) else f"applymask --threads $threads {cut_options(wildcards)} - -"
    return " ".join(filter(None, [command.stages(cut), clean_stages(wildcards)]))


def clean_stages(wildcards, dtype=None):
    """The middle of a pipeline: detrend or denoise | zscore | hrfshift, as far as they are wanted. The number of
    threads is the shell's $threads and no part of this text: results do not depend on it."""
    given = {name: file_options(name, wildcards) for name in ("confounds", "sample_masks") if needed(name)}
    moved = config["labels"]["shift"] != "none"
    chain = stages.cleaning(
        config["clean"], given.get("confounds"), given.get("sample_masks"), None if moved else dtype
    )
    chain += stages.labelling(
        label_settings(wildcards), sampled(wildcards.subject), design_options(wildcards), dtype if moved else None
    )
    # hrfshift computes nothing unless it moves data
    return command.stages(*(command.stage(name, options, moved or name != "hrfshift") for name, options in chain))


def label_settings(wildcards):
    """The section on labels. Where events are given to hrfshift one by one, so are the categories of all of them: it
    sees no more than those of its own runs, and a session's ids must be those of all."""
    labels, designs = config["labels"], design_options(wildcards)
    if unnamed() and designs and "{" not in designs[0] and events(design_files(wildcards)):
        return {**labels, "categories": categories(wildcards.subject)}
    return labels


def join_options(wildcards):
    """Options of concat, which checks that these sessions are all there; gaps between runs have been judged here."""
    chosen = sessions(wildcards.subject)
    return command.options(
        dtype=config["arrays"]["dtype"],
        sessions=values.ranges(chosen),
        allow_gaps=any(layout.gap(task_runs(wildcards.subject, session)) for session in chosen),
    )


# Targets


def roi_targets(subject, *endings):
    return [f"{SUBJECT.format(subject=subject)}/{roi}.{end}" for roi in config["rois"] for end in endings]


def session_targets(subject, ending):
    folder = SUBJECT.format(subject=subject)
    return [f"{folder}/session_{session:02d}{ending}" for session in sessions(subject)]


def index_files(stem, parts=None):
    """The files that shuffleidx writes."""
    shards = config["shuffle"]["shards"]
    pieces = [f"-{k}-of-{shards}" for k in range(1, shards + 1)] if shards > 1 else [""]
    return [f"{stem}{part}{piece}.npy" for part in [f".{name}" for name in parts or []] or [""] for piece in pieces]


def all_targets(wildcards):
    make = {
        "arrays": lambda subject: roi_targets(subject, "fmri.npy"),
        "shuffle": lambda subject: roi_targets(subject, "shuffle.json"),
        "split": lambda subject: roi_targets(subject, "split.json"),
        "packed": lambda subject: session_targets(subject, ".h5"),
        "clean": lambda subject: session_targets(subject, ".clean.h5"),
    }
    return [file for subject in subjects() for target in config["targets"] for file in make[target](subject)]
