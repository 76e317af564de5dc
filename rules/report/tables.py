"""The report's tables: sessions, arrays, counts, programs, and what the words mean."""

import json

import numpy as np

from operate import summary
from operate.words import number, size_in_column
from report.figures import figure, list_of, mean, median
from report.markup import table, tag, text


def flagged(n):
    return tag("span", number(n), kind="warn") if n else "0"


COLUMNS = {
    "Session": lambda s, packed: tag("a", s.number, href=f"#session-{s.number}"),
    "Runs": lambda s, packed: list_of([run["run"] for run in s.runs]),
    "Not used": lambda s, packed: list_of(s.facts["others"]),
    "Time points": lambda s, packed: number(s.rows),
    "Volumes dropped": lambda s, packed: number(sum(s.count("nifti2h5.dropped_volumes"))),
    "Median tSNR": lambda s, packed: figure(median(s.tsnr)),
    "DVARS, %": lambda s, packed: figure(mean(s.jump), 2),
    "Displacement, mm": lambda s, packed: figure(mean(s.shift), 3),
    "Constant voxels": lambda s, packed: flagged(max(s.count("boldqc.constant_voxels"))),
    "Not finite": lambda s, packed: flagged(sum(s.count("boldqc.nonfinite_samples"))),
    "Packed": lambda s, packed: size_in_column(packed[s.number]) if s.number in packed else "–",
}


def session_table(sessions, made):
    packed = {info["runs"][0]["session"]: info["bytes"] for info in made if info["kind"] == "series"}
    note = "Not used: runs at rest, and runs that the configuration leaves out. Constant voxels: the most in a run."
    rows = [[cell(s, packed) for cell in COLUMNS.values()] for s in sessions]
    return tag("p", note, kind="note") + table(COLUMNS, rows, (0, 1, 2))


def plain_sessions(facts):
    """Where nothing was measured."""
    rows = [[each["session"], list_of(each["runs"]), list_of(each["others"])] for each in facts["sessions"]]
    return table(["Session", "Runs", "Not used"], rows)


def missing(facts):
    if not facts["left_out"]:
        return tag("p", "Nothing that the configuration asks for is missing.", kind="good")
    return table(["What is missing"], [[tag("span", text(each), kind="warn")] for each in facts["left_out"]])


def array_row(info):
    found = [f"{number(each['number'])} {each['what']}" for each in summary.warnings(info["runs"])]
    return [
        tag("code", text(info["fmri"]["file"])),
        len(info["sessions"]),
        *(number(n) for n in info["fmri"]["shape"]),
        text(info["fmri"]["dtype"]),
        size_in_column(summary.bytes_of(info)),
        "<br>".join(tag("span", text(words), kind="warn") for words in found),
    ]


def arrays(made):
    rows = [array_row(info) for info in made if info["kind"] == "arrays"]
    heads = ["Array", "Sessions", "Time points", "Voxels", "Type", "Size", "Counted"]
    return table(heads, rows, (0, 6)) if rows else tag("p", "No arrays are there yet.")


def every_run(sessions, made):
    return [run for runs in [s.runs for s in sessions] + [info["runs"] for info in made] for run in runs]


def counts(sessions, made):
    """Each count over the runs that have it; a run that is in several files counts once."""
    total = {}
    for run in every_run(sessions, made):
        for name, n in run["counts"].items():
            total.setdefault(name, {})[run["session"], run["run"]] = n
    words = {name: what for what, names in summary.WARNINGS.items() for name in names}
    rows = [
        [
            tag("code", text(name)),
            words.get(name, ""),
            number(sum(each)),
            number(max(each)),
            sum(map(bool, each)),
            len(each),
        ]
        for name, each in ((name, list(found.values())) for name, found in sorted(total.items()))
    ]
    return table(["Count", "Is", "Sum over runs", "Most in a run", "Runs that have any", "Of runs"], rows, (0, 1))


OF_RUNS = ("design", "confounds", "sample-mask", "session", "run")  # settings that name a file or number for each run


def provenance(sessions, made):
    """Every different step of a program; files and their checksums are in the artifacts themselves."""
    found = {}
    for run in every_run(sessions, made):
        for step in run["steps"]:
            kept = {key: value for key, value in step["settings"].items() if key not in OF_RUNS}
            found[f"{step['program']} {step['version']} {json.dumps(kept)}"] = True
    return tag("pre", text("\n".join(found)))


DEFINITIONS = {
    "tSNR": "A voxel’s mean over a run, divided by its standard deviation after a polynomial of order {order} has"
    " been taken out (divisor: time points). Pictures show the mean over the session’s runs, tables the median over"
    " voxels that vary.",
    "Global signal": "Mean over all voxels at each time point, as a deviation from the run’s mean.",
    "DVARS": "Root of the mean square, over voxels, of the change from one time point to the next, before any"
    " cleaning (Power et al. 2012, NeuroImage 59:2142), in percent of the run’s mean signal.",
    "Framewise displacement": "Sum of the absolute changes of three translations and three rotations from one"
    " volume to the next, rotations as arcs on a sphere of 50 mm (Power et al. 2012). From the tables beside the"
    " runs: {sources}.",
    "Carpet plot": "Voxels from top to bottom, time from left to right (Power 2017, NeuroImage 154:150): {voxels}"
    " voxels spread evenly over the brain, detrended and standardised within each run, ordered by how they follow"
    " their mean (Aquino et al. 2020, NeuroImage 212:116614).",
}


def definitions(sessions):
    step = next(step for step in sessions[0].runs[0]["steps"] if step["program"] == "boldqc")
    sources = "; ".join(sorted({source for session in sessions for source in session.sources}))
    known = {"order": step["settings"]["order"], "voxels": sessions[0].quality.carpet.shape[1], "sources": sources}
    return tag("dl", "".join(tag("dt", k) + tag("dd", text(v.format(**known))) for k, v in DEFINITIONS.items()))


def counted(n, what):
    return number(n), what + "s" * (n != 1)


def tiles(sessions):
    tsnr, shift = (np.concatenate([getattr(s, name) for s in sessions]) for name in ("tsnr", "shift"))
    found = [
        counted(len(sessions), "session"),
        counted(sum(len(s.runs) for s in sessions), "run"),
        (number(sum(s.rows for s in sessions)), "time points"),
        (number(max(s.quality.maps.shape[1] for s in sessions)), "voxels in the brain"),
        (figure(median(tsnr)), "median tSNR"),
        (f"{figure(mean(shift), 2)} mm" if np.isfinite(shift).any() else "–", "mean displacement"),
        (f"{sessions[0].runs[0]['tr']:.4g} s", "repetition time"),
    ]
    return tag("ul", "".join(tag("li", tag("b", value) + tag("span", name)) for value, name in found), kind="tiles")
