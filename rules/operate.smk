# What a call says before and while it works, and at its end. Hooks run in the process that was called, never in its jobs.
import os
import sys
import time

from operate import costs, progress, summary, whole

watched = {}


def shown(words):
    for line in words:
        logger.info(f"boldmill: {line}")


def begin():
    """Begins to count the jobs that are to be done."""
    told = workflow.output_settings
    jobs = {workflow.dag.jobid(job): job for job in workflow.dag.needrun_jobs() if job.output}
    work = {key: progress.Job(job.rule.name, costs.work_of(workflow.dag, job)) for key, job in jobs.items()}
    watched["progress"] = progress.watch(logger, work, told.verbose or told.printshellcmds)
    watched["jobs"], watched["begin"] = jobs, time.time()
    if short := costs.too_much(workflow.dag, jobs.values(), config["cache"]):
        logger.warning(f"boldmill: {short}")


def made():
    """The files that this call has made."""
    done = [key for key, job in watched["progress"].jobs.items() if job.ended is not None]
    return [str(path) for key in done for path in watched["jobs"][key].output]


def finish():
    """The summary on the terminal and as JSON."""
    if not (paths := made()):
        return
    missing = [text for texts in DATA.left_out.values() for text in texts]
    told = summary.summary(os.path.join(BIN, "boldinfo"), paths, time.time() - watched["begin"], missing)
    whole.write(os.path.join(config["cache"], "summary.json"), summary.sealed(told))
    shown(f"{path}: open it in a browser" for path in paths if path.endswith(".html"))
    shown(summary.lines(told))


def guarded(step):
    """What only tells must not end the work."""
    try:
        step()
    except Exception as error:
        logger.warning(f"boldmill: no progress or summary: {type(error).__name__}: {error}")


onstart:
    if not os.path.exists(os.path.join(BIN, "nifti2h5")):
        raise WorkflowError(f"{BIN}: the programs are not there; run make, or correct bin in the configuration")
    guarded(begin)


onsuccess:
    guarded(finish)


def failed():
    """What went wrong, once more and in short, and how far it came."""
    done, jobs = watched["progress"], watched["jobs"]
    left = [job for key, job in jobs.items() if done.jobs[key].ended is None]
    full = costs.too_much(workflow.dag, left, config["cache"])
    shown(values.first(list(progress.failures(done.failed, full))))
    shown([done.so_far() + "; the same call goes on from here"])


onerror:
    guarded(failed)


# Estimates


def run_facts(subject, described):
    """{session: [{"path", "rows", "volumes"}]} of the runs that will be packed."""
    facts = {}
    for run in all_runs(subject):
        volumes = described[run.path]["volumes"]
        rows = (
            config["pack"]["volumes"] or (DATA.design_length(run.design.path)[0] if run.design else None) or volumes
        )
        facts.setdefault(run.session, []).append({"path": run.path, "rows": min(rows, volumes), "volumes": volumes})
    return facts


def mask_words(**named):
    return shlex.split(command.options(**named))


def cost_facts(subject):
    """What costs.subject_costs wants to know."""
    paths = on_disk([run.path for run in all_runs(subject)])
    described = {info["file"]: info for info in summary.describe(os.path.join(BIN, "boldinfo"), paths)}
    labels = config["labels"]["history"] if config["layout"]["designs"] else None
    whole = checked(costs.columns, BIN, mask_words(mask=DATA.mask_files(subject)), paths[0])
    voxels = {
        roi: checked(costs.columns, BIN, mask_words(**rois.options(selection(subject, roi), "mask")), paths[0])[
            "cols"
        ]
        for roi in config["rois"]
    }
    return {
        "subject": subject,
        "sessions": run_facts(subject, described),
        "brain": whole["cols"],
        "itemsize": costs.SAMPLE[whole["dtype"]],
        "rois": voxels,
        "store": config["pack"]["store"],
        "route": config["route"],
        "history": labels,
        "out": 2 if config["arrays"]["dtype"] == "float16" else 4,
    }


def estimate_lines(cores):
    every = []
    for subject in subjects():
        facts = cost_facts(subject)
        every.append(costs.subject_costs(facts))
        yield from costs.table(every[-1], facts)
    yield from costs.together(every, cores, config["cache"])


def tell_estimate(log, cores):
    with open(log, "w") as file:
        for line in estimate_lines(cores):
            print(line, file=file)
            print(line, file=sys.stderr, flush=True)


# The report


def session_facts(subject, session):
    """Numbers of the session's runs: those used, those at rest or left out, and the files of motion."""
    used = task_runs(subject, session)
    scanned = [
        file for file in scans(subject) if DATA.session_numbers(subject)[file.labels.get("session")] == session
    ]
    tables = config["layout"]["confounds"] and DATA.companions("confounds", subject, session)
    motion = [layout.nearest(tables[1], run.labels) if tables else None for run in used]
    return {
        "session": session,
        "runs": [run.number for run in used],
        "others": sorted({layout.run_number(file.labels) for file in scanned} - {run.number for run in used}),
        "motion": [file.path if file and os.path.exists(file.path) else None for file in motion],
    }


def report_facts(wildcards):
    """What the report tells that is in no file of ours."""
    facts = [session_facts(wildcards.subject, session) for session in sessions(wildcards.subject)]
    return {"sessions": facts, "left_out": sorted(set(DATA.left_out.get(wildcards.subject, [])))}


def report_settings(wildcards):
    wanted = ("sessions", "runs", "route", "rois", "pack", "clean", "labels", "arrays")
    chosen = {key: config["layout"][key] for key in ("preset", "entities") if config["layout"][key]}
    return {"root": config["root"], "layout": chosen} | {key: config[key] for key in wanted}


def measured_sessions(wildcards):
    folder = QUALITY.format(subject=wildcards.subject)
    return [f"{folder}/session_{session:02d}.json" for session in sessions(wildcards.subject)]


def made_files(wildcards):
    """What the report tells of besides: those of the configured ROIs' arrays that are there."""
    return [path for path in roi_targets(wildcards.subject, "json") if os.path.exists(path)]


def reports(wildcards):
    return [f"{SUBJECT.format(subject=subject)}/report.html" for subject in subjects()]
