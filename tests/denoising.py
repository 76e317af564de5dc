"""Small data, tables and calls of denoise for the tests of its edges; the reference is longdouble.py."""

from types import SimpleNamespace

import longdouble
import numpy as np
import pandas as pd
from cleaning import difference
from oracle import make_run, read_stream, write_stream

ROWS, COLS, TR = 80, 6, 2.0
EPS = 2.0**-52


def scans(rows=ROWS, cols=COLS, level=1000.0, noise=10.0, seed=0, dtype="<f8"):
    rng = np.random.default_rng(seed)
    y = rng.normal(0, 1, (rows, cols)).cumsum(0) * 0.3 + rng.normal(0, 1, (rows, cols))
    return (level + noise * y).astype(dtype)


def table(rows=ROWS, cols=3, seed=9):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.normal(0, 1, (rows, cols)), columns=[f"c{k}" for k in range(cols)])


def write(folder, frame, name="confounds.tsv"):
    path = folder / name
    frame.to_csv(path, sep="\t", na_rep="n/a", index=False, float_format=lambda x: repr(float(x)))
    return path


def numbers(folder, values, name="mask.txt"):
    path = folder / name
    path.write_text("".join(f"{v}\n" for v in values))
    return path


def command(*options):
    return ["denoise", "--dtype", "float64", *options, "-", "-"]


def denoise(run, data, *options, **head):
    made = make_run(data, **{"tr": TR, **head})
    return read_stream(run(*command(*options), stdin=write_stream([made])).out)[0]


def fails(run, data, *options, says=(), **head):
    """An error of the data or of the command line: both are answers to an option that does not fit the data."""
    made = make_run(data, **{"tr": TR, **head})
    done = run.any(*command(*options), stdin=write_stream([made]))
    assert done.status in (1, 2), f"status {done.status}\n{done.err}"
    missing = [w for w in says if str(w) not in done.err]
    assert done.err.startswith("denoise: ") and not missing, f"{missing} not in: {done.err}"
    return done


def reference(data, confounds=None, kept=None, **how):
    plain = {"tr": TR, "order": 1, "high_pass": 0, "low_pass": 0, "filter": "cosine", "filter_order": 5}
    plain |= {"ends": "extrapolate", "keep_mean": False, "nothing": 1e-12}
    confounds = np.zeros((len(data), 0)) if confounds is None else np.asarray(confounds, float)
    kept = np.ones(len(data), bool) if kept is None else kept
    return longdouble.cleaned(data, confounds, kept, SimpleNamespace(**plain | how))


def close(got, wanted, bound=1e-9):
    far, relative = difference(got, wanted)
    assert relative <= bound, f"{far:.1e}, {relative:.1e} of the standard deviation"
