"""Data moved by a part of a TR: second opinions from numpy and scipy, and what hrfshift differs from them.

delay       offset / TR - sampled as whole rows and a rest
WITNESSES   what each interpolation should give, made in another way than hrfshift makes it
fidelity    (name, cases, largest absolute difference, largest relative difference) of each interpolation
"""

import numpy as np
from oracle import make_run, read_stream, write_stream
from scipy.interpolate import KroghInterpolator
from scipy.signal import upfirdn
from scipy.signal.windows import kaiser

WIDTH = 8  # the default of --sinc-width
BETA = 6


def delay(tr, offset=4.6, sampled=0.0):
    whole = round(offset / tr - sampled)
    return whole, offset / tr - sampled - whole


def linear(values, rest, width=None):
    """numpy.interp, which holds the first and the last value."""
    t = np.arange(len(values))
    return np.stack([np.interp(t + rest, t, column) for column in values.T], 1)


def cubic(values, rest, width=None):
    """The cubic through the four points around each time, by scipy; values beyond the ends are the last ones."""
    held = np.pad(values, ((2, 2), (0, 0)), mode="edge")
    before = int(np.floor(rest))
    x = np.arange(-1, 3)
    return np.stack([KroghInterpolator(x, held[t + 2 + before + x])(rest - before) for t in range(len(values))])


def sinc(values, rest, width=WIDTH, steps=100):
    """A polyphase filter, for rests of whole hundredths: `steps` points a TR under scipy's window.

    What the filter gives for a series of ones is divided out, so that its weights add up to 1.
    """
    step = round(rest * steps)
    assert abs(step - rest * steps) < 1e-6, rest
    around = np.arange(-width * steps, width * steps + 1)
    taps = np.sinc(around / steps) * kaiser(len(around), BETA)
    held = np.pad(values, ((width, width), (0, 0)), mode="edge")
    at = (np.arange(len(values)) + 2 * width) * steps + step
    return upfirdn(taps, held, steps, axis=0)[at] / upfirdn(taps, np.ones(len(held)), steps)[at, None]


WITNESSES = {"linear": linear, "cubic": cubic, "sinc": sinc}
HALF = {"linear": 1, "cubic": 2, "sinc": WIDTH}


def reach(how, rest, width=None):
    """Rows before and behind that the value of a row takes part in: none where there is nothing to move."""
    half = width or HALF[how]
    return (half - 1, half) if rest > 1e-5 else (half, half - 1) if rest < -1e-5 else (0, 0)


def difference(got, wanted):
    """(largest absolute, largest relative) difference; relative to the standard deviation of the wanted column."""
    far = np.abs(np.asarray(got, float) - wanted).max(0)
    spread = np.std(np.asarray(wanted, float), axis=0)
    return float(far.max()), float((far[spread > 0] / spread[spread > 0]).max())


def shifted(run, data, how, *args, tr=4 / 3, **head):
    """The values and the run that `hrfshift --shift how` gives for one run."""
    made = make_run(data, tr=tr, **head)
    (got,) = read_stream(run("hrfshift", "--shift", how, *args, "-", "-", stdin=write_stream([made])).out)
    return got


# For the table of differences ---------------------------------------------------------------------------------------

# TR, offset, sampled: rests of whole hundredths, both signs, ties, and NSD's
DELAYS = [(4 / 3, 4.6, 0), (4 / 3, 4.6, 0.5), (1.0, 4.6, 0), (2.0, 4.6, 0.5), (2.0, 5.0, 0), (2.0, 7.0, 0)]
DELAYS += [(2.0, 0, 0.5), (2.5, 4.55, 0), (0.8, 5.0, 0.75), (1.6, 4.0, 0.01)]


def noise(seed, rows=225, cols=40, level=1000.0):
    """Noise of many colours on levels as scans have them."""
    rng = np.random.default_rng(seed)
    white = rng.standard_normal((rows, cols))
    slow = np.cumsum(white, 0) * np.linspace(0, 1, cols)
    return level * rng.random(cols) + 5 * white + slow


def band_limited(seed, rows=225, cols=20, top=0.25):
    """(values at row + x for any x): sums of sines below `top` cycles a TR, so what lies between rows is known."""
    rng = np.random.default_rng(seed)
    frequency, phase = top * rng.random((12, cols)), 2 * np.pi * rng.random((12, cols))
    amplitude = rng.standard_normal((12, cols))
    return lambda x: (amplitude * np.sin(2 * np.pi * frequency * (np.arange(rows)[:, None, None] + x) + phase)).sum(1)


def against_witness(run, how, dtype):
    worst = np.zeros(2)
    for k, (tr, offset, sampled) in enumerate(DELAYS):
        data = noise(k) if dtype == "float64" else np.rint(noise(k)).astype("<i2")
        args = ("--offset", offset, "--sampled", sampled, "--dtype", dtype)
        got = shifted(run, data, how, *args, tr=tr, tile_cols=17).data
        wanted = WITNESSES[how](data.astype(float), delay(tr, offset, sampled)[1])
        worst = np.maximum(worst, difference(got, wanted))
    return len(DELAYS) * data.size, *worst.tolist()


def against_truth(run, how, top):
    """Away from the ends, against the signal itself: what the interpolation costs, not what rounding does."""
    worst, cases = np.zeros(2), 0
    for k, (tr, offset, sampled) in enumerate(DELAYS):
        rest, signal = delay(tr, offset, sampled)[1], band_limited(k, top=top)
        args = ("--offset", offset, "--sampled", sampled, "--dtype", "float64")
        inner = slice(WIDTH, -WIDTH)
        got = shifted(run, signal(0), how, *args, tr=tr).data[inner]
        worst = np.maximum(worst, difference(got, signal(rest)[inner]))
        cases += got.size
    return cases, *worst.tolist()


WITNESS_NAMES = {"linear": "numpy.interp", "cubic": "scipy KroghInterpolator", "sinc": "scipy upfirdn, kaiser"}


def fidelity(run):
    """Rows (name, cases, largest absolute, largest relative difference), relative to a column's standard deviation.

    `run` is conftest's Runner. Values of noise around levels up to 1000, sd 5 to 60; a case is a sample.
    """
    rows = []
    for how, witness in WITNESS_NAMES.items():
        rows.append((f"hrfshift --shift {how} --dtype float64: {witness}", *against_witness(run, how, "float64")))
        rows.append((f"hrfshift --shift {how}, int16 to float32: {witness}", *against_witness(run, how, "float32")))
    for how in WITNESS_NAMES:
        for top in (0.1, 0.25):
            name = f"hrfshift --shift {how}: signals below {top} cycles a TR, as they are between volumes"
            rows.append((name, *against_truth(run, how, top)))
    return rows
