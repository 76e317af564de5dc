# Two routes to the same arrays, byte for byte. Both rules are `arrays` to the outside: one of them is defined.
if config["route"] == "packed":

    rule arrays:
        """Cuts one ROI from the packed sessions, cleans and labels it: NAME.fmri.npy, NAME.meta.npy, NAME.json."""
        input:
            sessions=packed_sessions,
            designs=design_files,
            cleaning=cleaning_files,
            roi=roi_files,
            table=roi_table,
        output:
            fmri=f"{SUBJECT}/{{roi}}.fmri.npy",
            meta=META,
            json=f"{SUBJECT}/{{roi}}.json",
        log:
            f"{LOG}/{{roi}}.log",
        benchmark:
            f"{BENCHMARK}/{{roi}}.tsv"
        conda:
            "../envs/boldmill.yaml"
        threads: config["threads"]["arrays"]
        resources:
            mem_mb=asks.memory(1280),
            runtime=asks.minutes(10, per_gb=2),
        params:
            states=states_of(design_files, cleaning_files, roi_files, roi_table),
            cut=cut_options,
            stages=clean_stages,
            join=join_options,
        shell:
            "threads={threads}; (applymask --threads $threads {params.cut} -- {input.sessions:q} - | {params.stages}"
            " concat --threads $threads {params.join} -- - {output.fmri:q}) 2> {log:q}"

else:

    rule arrays:
        """Reads the scanned runs and cuts, cleans and labels one ROI: NAME.fmri.npy, NAME.meta.npy, NAME.json."""
        input:
            runs=stored_runs,
            designs=design_files,
            cleaning=cleaning_files,
            mask=mask_file,
            roi=roi_files,
            table=roi_table,
        output:
            fmri=f"{SUBJECT}/{{roi}}.fmri.npy",
            meta=META,
            json=f"{SUBJECT}/{{roi}}.json",
        log:
            f"{LOG}/{{roi}}.log",
        benchmark:
            f"{BENCHMARK}/{{roi}}.tsv"
        conda:
            "../envs/boldmill.yaml"
        threads: config["threads"]["arrays"]
        resources:
            mem_mb=asks.memory(1280 + 384 * STREAMED),
            runtime=asks.minutes(10, per_gb=2, besides=streamed_bytes),
        params:
            read=direct_options,
            streamed=streamed_runs,
            etags=streamed_etags,
            states=states_of(stored_runs, design_files, cleaning_files, mask_file, roi_files, roi_table),
            stages=direct_stages,
            join=join_options,
        shell:
            BEFORE_SCANS
            + "threads={threads}; (nifti2h5 --threads $threads {params.read} "
            + SCANS
            + " - | {params.stages}"
            " concat --threads $threads {params.join} -- - {output.fmri:q}) 2> {log:q}"
