# The report and what it is drawn from. Nothing here is made unless somebody asks for it.
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
            BEFORE_SCANS
            + "(nifti2h5 --threads {threads} {params.read} "
            + SCANS
            + " - | boldqc --threads {threads} {params.options} -- - {output.json:q}) 2> {log:q}"


rule subject_report:
    """Draws what was measured, and tells what was counted: one HTML file a subject."""
    input:
        quality=measured_sessions,
        made=made_files,
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
