"""A session in the report: what was measured of its runs, as pictures and time courses."""

import numpy as np

from operate.words import many
from report import motion, pictures
from report.figures import figure, list_of, mean, median
from report.markup import chart, image, row, scale, tag


class Session:
    """What is known of a session: its measured runs, their motion, runs that are not used."""

    def __init__(self, quality, facts):
        self.quality, self.runs, self.facts = quality, quality.runs, facts
        self.number = quality.session
        self.axis = pictures.Axis([run["rows"] for run in self.runs])
        self.signal, self.dvars = quality.courses("signal"), quality.courses("dvars")
        read = [motion.read(path) if path else (None, "no table of motion") for path in facts["motion"]]
        self.sources = sorted({source for _, source in read})
        self.moved = [
            np.full(run["rows"], np.nan) if moved is None else motion.of_rows(moved, run)
            for (moved, _), run in zip(read, self.runs, strict=True)
        ]
        self.has_motion = any(np.isfinite(moved).any() for moved in self.moved)
        self.rows = sum(run["rows"] for run in self.runs)
        levels = [run["mean"] or np.nan for run in self.runs]
        self.swing = [100 * course / level - 100 for course, level in zip(self.signal, levels, strict=True)]
        self.jumps = [100 * course / level for course, level in zip(self.dvars, levels, strict=True)]
        self.tsnr = np.array([run["tsnr"] for run in self.runs], float)
        self.jump = np.array([mean(course) for course in self.jumps])
        self.shift = np.array([mean(course) for course in self.moved])

    def count(self, name):
        return [run["counts"].get(name, 0) for run in self.runs]


# Pictures of a session


def limits_of(sessions):
    """(low, high) of the axes, common to all sessions: what all but two time points in a thousand stay within."""

    def ends(name):
        values = np.concatenate([course for session in sessions for course in getattr(session, name)])
        values = values[np.isfinite(values)]
        return np.percentile(values, (0.2, 99.8)).tolist() if values.size else [0.0, 1.0]

    swing = max(map(abs, ends("swing")))
    jump = ends("jumps")
    return (-swing, swing), (min(jump[0], 0.9 * jump[1]), jump[1]), (0.0, ends("moved")[1])


def strips(session, limits):
    """Global signal, DVARS and displacement over time."""
    axis, (swing, jump, moved) = session.axis, limits
    drawn = pictures.strip(axis, session.swing, *swing, pictures.mean)
    yield row("Global signal", drawn, f"±{swing[1]:.2g} % of the run’s mean")
    drawn = pictures.strip(axis, session.jumps, *jump, pictures.peak)
    yield row("DVARS", drawn, f"{jump[0]:.3g} to {jump[1]:.3g} %", "dvars")
    if session.has_motion:
        drawn = pictures.strip(axis, session.moved, *moved, pictures.peak)
        yield row("Displacement", drawn, f"0 to {moved[1]:.2g} mm", "fd")


def session_section(session, highs, limits):
    quality, name = session.quality, f"session {session.number}"
    numbers = list_of([run["run"] for run in session.runs])
    level = image(pictures.slices(quality.volume(0), highs[0], "grey"), f"Axial slices of the mean of {name}")
    tsnr = image(pictures.slices(quality.volume(2), highs[1], "viridis"), f"Axial slices of the tSNR of {name}")
    carpet = image(pictures.carpet(quality, session.axis), f"Carpet plot of {name}: voxels over time", "carpet")
    about = f"{many(len(session.runs), 'run')} ({numbers}), {many(session.rows, 'time point')}"
    parts = [
        tag("h3", f"Session {session.number}"),
        tag("p", f"{about}, median tSNR {figure(median(session.tsnr))}"),
        row("Mean", level, scale("grey", highs[0], "arbitrary units")),
        row("tSNR", tsnr, scale("viridis", highs[1])),
        row("Carpet", carpet, f"{quality.carpet.shape[1]} voxels, detrended"),
        *strips(session, limits),
    ]
    return tag("article", "".join(parts), kind="session", id=f"session-{session.number}")


def scales(sessions):
    """Ends of the colour scales of means and tSNR, common to all sessions."""
    return [max(float(np.median([pictures.top(s.quality.maps[i]) for s in sessions])), 1e-6) for i in (0, 2)]


def pictures_of(sessions):
    highs, limits = scales(sessions), limits_of(sessions)
    return "".join(session_section(session, highs, limits) for session in sessions)


def charts(sessions):
    numbers = [s.number for s in sessions]
    drawn = [
        chart("Median tSNR", "of a run’s voxels", numbers, [s.tsnr for s in sessions], "tsnr"),
        chart("Mean DVARS", "% of the mean signal", numbers, [s.jump for s in sessions], "dvars"),
    ]
    if any(s.has_motion for s in sessions):
        drawn.append(chart("Mean displacement", "framewise, mm", numbers, [s.shift for s in sessions], "fd"))
    return tag("div", "".join(drawn), kind="charts")
