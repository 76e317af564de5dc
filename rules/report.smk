# The report and what it is drawn from. Nothing here is made unless somebody asks for it.


# Without a mask nifti2h5 reads runs twice, which a stream does not allow.
MEASURED = not STREAMED or bool(config["layout"]["mask"])
NOT_MEASURED = (
    "Nothing was measured: the runs are streamed from a bucket (remote: stream), and a stream is read once, which takes a"
    " brain mask. Name one (layout: mask), or fetch the runs (remote: {stream: false})."
)


def motion_tables(subject):
    """Those that are here: of a bucket, tables are fetched if the cleaning or `remote: extras` asks for them."""
    patterns = DATA.patterns_of("confounds", subject)
    return [file for pattern in patterns for file in pattern.find(files.Disk())]


def session_facts(subject, session):
    """Numbers of the session's runs: those used, those at rest or left out, and the files of motion."""
    used = task_runs(subject, session)
    scanned = [
        file for file in scans(subject) if DATA.session_numbers(subject)[file.labels.get("session")] == session
    ]
    tables = DATA.of_session(motion_tables(subject), subject, session)
    motion = [layout.nearest(tables, run.labels) for run in used]
    return {
        "session": session,
        "runs": [run.number for run in used],
        "others": sorted({layout.run_number(file.labels) for file in scanned} - {run.number for run in used}),
        "motion": [file.path if file else None for file in motion],
    }


def report_facts(wildcards):
    """What the report tells that is in no file of ours."""
    facts = [session_facts(wildcards.subject, session) for session in sessions(wildcards.subject)]
    left_out = sorted(set(DATA.left_out.get(wildcards.subject, [])))
    return {"sessions": facts, "left_out": left_out, "unmeasured": None if MEASURED else NOT_MEASURED}


def report_settings(wildcards):
    wanted = ("sessions", "runs", "route", "rois", "pack", "clean", "labels", "arrays")
    chosen = {key: config["layout"][key] for key in ("preset", "entities") if config["layout"][key]}
    return {"root": config["root"], "layout": chosen} | {key: config[key] for key in wanted}


def measured_sessions(wildcards):
    folder = QUALITY.format(subject=wildcards.subject)
    if not MEASURED:
        return []
    return [f"{folder}/session_{session:02d}.json" for session in sessions(wildcards.subject)]


def made_files(wildcards):
    """What the report tells of besides: those of the configured ROIs' arrays that are there, or will be by this
    call."""
    paths = roi_targets(wildcards.subject, "json")
    return [path for path in paths if os.path.exists(path) or is_asked_for(path.removesuffix(".json"))]


def is_asked_for(stem):
    """Whether the call names files of these arrays, or asks for all targets while they are among them."""
    asked = workflow.dag_settings.targets
    if "all" in asked and needs.READ_ROIS & set(config["targets"]):
        return True
    return any(
        re.fullmatch(re.escape(stem) + r"\.(fmri\.npy|meta\.npy|json|(shuffle|split)\..*)", text) for text in asked
    )


def reports(wildcards):
    return [f"{SUBJECT.format(subject=subject)}/report.html" for subject in subjects()]


if config["route"] == "packed":

    rule quality:
        """Measures the runs of one packed session."""
        input:
            session=f"{SUBJECT}/session_{{session}}.h5",
        output:
            json=f"{QUALITY}/session_{{session}}.json",
            maps=f"{QUALITY}/session_{{session}}.maps.npy",
            carpet=f"{QUALITY}/session_{{session}}.carpet.npy",
        log:
            f"{LOG}/session_{{session}}.quality.log",
        benchmark:
            f"{BENCHMARK}/session_{{session}}.quality.tsv"
        conda:
            "../envs/boldmill.yaml"
        threads: config["threads"]["arrays"]
        resources:
            mem_mb=asks.memory(1024),
            runtime=asks.minutes(10, per_gb=2),
        params:
            options=command.options(**config["report"]),
        shell:
            "boldqc --threads {threads} {params.options} -- {input.session:q} {output.json:q} 2> {log:q}"

else:

    rule quality:
        """Measures the runs of one session straight from the scans; nothing is packed."""
        input:
            runs=stored_runs,
            designs=ancient(design_files),
            mask=mask_file,
        output:
            json=f"{QUALITY}/session_{{session}}.json",
            maps=f"{QUALITY}/session_{{session}}.maps.npy",
            carpet=f"{QUALITY}/session_{{session}}.carpet.npy",
        log:
            f"{LOG}/session_{{session}}.quality.log",
        benchmark:
            f"{BENCHMARK}/session_{{session}}.quality.tsv"
        conda:
            "../envs/boldmill.yaml"
        threads: config["threads"]["pack"]
        resources:
            mem_mb=asks.memory(1024 + 384 * STREAMED, per_largest=2),
            runtime=asks.minutes(10, per_gb=2, besides=streamed_bytes),
        params:
            states=states_of(stored_runs, mask_file),
            read=lambda wildcards: command.options(**read_options(wildcards), mask=mask_file(wildcards)),
            streamed=streamed_runs,
            etags=streamed_etags,
            options=command.options(**config["report"]),
        shell:
            BEFORE_SCANS + "(nifti2h5 --threads {threads} {params.read} " + SCANS + " - |"
            " boldqc --threads {threads} {params.options} -- - {output.json:q}) 2> {log:q}"


rule subject_report:
    """Draws what was measured, and tells what was counted: one HTML file a subject."""
    input:
        quality=measured_sessions,
        made=ancient(made_files),
        motion=lambda wildcards: [
            path for facts in report_facts(wildcards)["sessions"] for path in facts["motion"] if path
        ],
    output:
        f"{SUBJECT}/report.html",
    log:
        f"{LOG}/report.log",
    benchmark:
        f"{BENCHMARK}/report.tsv"
    conda:
        "../envs/boldmill.yaml"
    threads: 1
    resources:
        mem_mb=asks.memory(2048),
        runtime=asks.minutes(30),
    params:
        subject=lambda wildcards: wildcards.subject,
        facts=report_facts,
        settings=report_settings,
        packed=packed_sessions,
        boldinfo=os.path.join(BIN, "boldinfo"),
    script:
        "report/page.py"


rule report:
    """The reports of all subjects: cache/subj01/report.html."""
    input:
        reports,
