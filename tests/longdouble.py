"""Cleaning in long double, from the textbook formulas: the reference that decides where two doubles disagree.

The steps and their order are those of nilearn 0.13.1's signal.clean; nothing here is shared with it or with boldmill.
x86's long double has 64 bits of mantissa: 2048 times finer than double.
"""

import numpy as np

LD = np.longdouble
PI = LD("3.14159265358979323846264338327950288")
NOTHING = 1e-12  # of a confound's own size: what is left of it is rounding
DEPENDENT = 1e-12  # of a confound's length: what the others leave of it is rounding


def norm(x):
    return np.sqrt((x * x).sum(0))


def project(basis, y):
    for _ in range(2):
        for q in basis:
            y = y - np.outer(q, q @ y)
    return y


def polynomials(rows, order):
    """Orthonormal polynomials of degree 0 to `order` over evenly spaced points."""
    t, basis = np.linspace(LD(-1), LD(1), rows) if rows > 1 else np.zeros(1, LD), []
    for k in range(order + 1):
        q = project(basis, (t**k)[:, None])[:, 0]
        basis.append(q / norm(q))
    return basis


def cosines(rows, tr, high_pass):
    """The slow end of the discrete cosine transform (DCT-II): all periods longer than 1 / high_pass."""
    n = min(rows - 1, int(np.floor(2 * rows * high_pass * tr)))
    t = np.arange(rows, dtype=LD) + LD(0.5)
    return np.stack([np.cos(PI * k * t / rows) for k in range(1, n + 1)], 1) if n else np.zeros((rows, 0), LD)


# Butterworth --------------------------------------------------------------------------------------------------------


def sections(order, low_edge, high_edge):
    """[(b, a)] of a digital Butterworth filter; edges are parts of the Nyquist frequency, None where there is none.

    Analog prototype, frequency transformation, bilinear transformation.
    """
    m = np.arange(-order + 1, order, 2, dtype=LD)
    poles = -np.exp(np.clongdouble(1j) * PI * m / (2 * order))
    warp = lambda edge: 4 * np.tan(PI * LD(edge) / 2)  # noqa: E731
    if low_edge is None:
        poles, zeros, gain = poles * warp(high_edge), 0, warp(high_edge) ** order
    elif high_edge is None:
        poles, zeros, gain = warp(low_edge) / poles, order, LD(1)
    else:
        wide, middle2 = warp(high_edge) - warp(low_edge), warp(high_edge) * warp(low_edge)
        half = poles * wide / 2
        root = np.sqrt(half * half - middle2)
        poles, zeros, gain = np.r_[half + root, half - root], order, wide**order
    gain = gain * (LD(4) ** zeros / np.prod(4 - poles)).real
    poles = (4 + poles) / (4 - poles)
    pairs = [(-2 * p.real, (p * p.conj()).real) for p in poles if p.imag > 1e-15]
    real = sorted(p.real for p in poles if abs(p.imag) <= 1e-15)
    pairs += [(-(p + q), p * q) for p, q in zip(real[::2], real[1::2], strict=False)]
    pairs.sort(key=lambda pair: -pair[0])  # poles near -1 first: zeros that are near them keep numbers small
    ends = [-1] * (len(poles) - zeros) + [1] * zeros
    made = []
    for k, (a1, a2) in enumerate(pairs):
        z = ends[2 * k : 2 * k + 2]
        made.append((np.array([1, -sum(z), z[0] * z[1]], LD), (a1, a2)))
    if len(real) % 2:
        made.append((np.array([1, -ends[-1], 0], LD), (-real[-1], LD(0))))
    made.sort(key=lambda section: section[1][1])  # the sharpest last
    made[0] = (made[0][0] * gain, made[0][1])
    return made


def through(made, x):
    """The cascade over time, begun as if x[0] had always been there."""
    for b, (a1, a2) in made:
        steady = b.sum() / (1 + a1 + a2)
        s1 = (b[2] - a2 * steady) * x[0]
        s0 = (b[1] - a1 * steady) * x[0] + s1
        y = np.empty_like(x)
        for t, now in enumerate(x):
            y[t] = b[0] * now + s0
            s0, s1 = b[1] * now - a1 * y[t] + s1, b[2] * now - a2 * y[t]
        x = y
    return x


def pad_length(order, band):
    """scipy's default: three times the number of coefficients."""
    return 3 * ((2 * order if band else order) + 1)


def butterworth(x, tr, high_pass, low_pass, order):
    """Forwards and backwards over a series that is extended by itself, turned about its end points."""
    edge = lambda f: LD(f) * 2 * LD(tr) if f else None  # noqa: E731
    made = sections(order, edge(high_pass), edge(low_pass))
    n = pad_length(order, high_pass and low_pass)
    assert len(x) > n, f"{len(x)} rows are too few"
    x = np.concatenate([2 * x[0] - x[n:0:-1], x, 2 * x[-1] - x[-2 : -n - 2 : -1]])
    return through(made, through(made, x)[::-1])[::-1][n:-n]


# Interpolation ------------------------------------------------------------------------------------------------------


def solve(a, b):
    """Gauss with pivots by rows."""
    a, b = a.copy(), b.copy()
    for k in range(len(a)):
        p = k + np.abs(a[k:, k]).argmax()
        a[[k, p]], b[[k, p]] = a[[p, k]], b[[p, k]]
        below = np.flatnonzero(a[k + 1 :, k]) + k + 1
        f = a[below, k] / a[k, k]
        a[below, k:] -= f[:, None] * a[k, k:]
        b[below] -= f[:, None] * b[k]
    for k in reversed(range(len(a))):
        b[k] = (b[k] - a[k, k + 1 :] @ b[k + 1 :]) / a[k, k]
    return b


def spline(x, y, at):
    """The cubic spline through (x, y) at `at`; not-a-knot: the first two pieces are one cubic, and the last two.

    By second derivatives. Beyond its ends it goes on as the outer pieces do.
    """
    x, n = x.astype(LD), len(x)
    if n < 4:  # a parabola, a line: the polynomial through all points
        lagrange = [np.prod([(at - x[j]) / (x[i] - x[j]) for j in range(n) if j != i], 0) for i in range(n)]
        return np.stack(lagrange, 1) @ y
    h, a, b = np.diff(x), np.zeros((n, n), LD), np.zeros_like(y)
    for i in range(1, n - 1):
        a[i, i - 1 : i + 2] = h[i - 1], 2 * (h[i - 1] + h[i]), h[i]
        b[i] = 6 * ((y[i + 1] - y[i]) / h[i] - (y[i] - y[i - 1]) / h[i - 1])
    a[0, :3] = h[1], -h[0] - h[1], h[0]
    a[-1, -3:] = h[-1], -h[-2] - h[-1], h[-2]
    m = solve(a, b)
    i = np.clip(np.searchsorted(x, at, "right") - 1, 0, n - 2)
    u, v, w = ((q)[:, None] for q in (x[i + 1] - at, at - x[i], h[i]))
    cubic = (m[i] * u**3 + m[i + 1] * v**3) / (6 * w)
    return cubic + (y[i] / w - m[i] * w / 6) * u + (y[i + 1] / w - m[i + 1] * w / 6) * v


def interpolated(y, kept):
    at = np.flatnonzero(~kept)
    y = y.copy()
    y[at] = spline(np.flatnonzero(kept), y[kept], at.astype(LD))
    return y


# All of it ----------------------------------------------------------------------------------------------------------


def independent(x, size):
    """An orthonormal basis of the columns, longest first; what is numerically nothing is left out."""
    left = x - x.mean(0)
    left = left[:, norm(left) > NOTHING * size]
    left, basis = left / norm(left), []
    while left.shape[1]:
        k = norm(left).argmax()
        if norm(left)[k] <= DEPENDENT:
            break
        q = project(basis, left[:, k : k + 1])[:, 0]
        basis.append(q / norm(q))
        left = left - np.outer(basis[-1], basis[-1] @ left)
    return basis


def cleaned(values, confounds, kept, how):
    """(cleaned values of the kept rows, number of regressors projected out), in long double.

    `how` has tr, order, high_pass, low_pass, filter, filter_order, ends, keep_mean (as the options of denoise).
    A column is 0 where the root mean square of what is left is less than `how.nothing` of its largest value.
    """
    y, x = np.asarray(values, LD), np.asarray(confounds, LD)
    largest = np.abs(y[kept]).max(0)
    smooth = how.filter == "butterworth" and (how.high_pass or how.low_pass)
    if how.filter == "cosine" and how.high_pass:
        x = np.hstack([x, cosines(len(y), how.tr, how.high_pass)])
    if not smooth:
        y, x, kept = y[kept], x[kept], np.ones(kept.sum(), bool)
    elif not kept.all():
        y, x = interpolated(y, kept), interpolated(x, kept)
        if how.ends == "drop":
            whole = slice(kept.argmax(), len(kept) - kept[::-1].argmax())
            y, x, kept = y[whole], x[whole], kept[whole]
    mean, size = y.mean(0), norm(x)
    trend = polynomials(len(y), how.order)
    y, x = project(trend, y), project(trend, x)
    if smooth:
        y, x = (butterworth(a, how.tr, how.high_pass, how.low_pass, how.filter_order)[kept] for a in (y, x))
    basis = independent(x, size)
    y = project(basis, y)
    y = np.where(np.sqrt((y * y).mean(0)) <= how.nothing * largest, 0, y)
    if how.keep_mean and (how.order >= 0 or (smooth and how.high_pass)):
        y = y + mean
    return y, len(basis)
