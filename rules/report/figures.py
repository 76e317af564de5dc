"""Numbers as the report shows them, and means of what is known of them."""

import numpy as np


def figure(value, digits=1):
    return f"{value:.{digits}f}" if np.isfinite(value) else "–"


def list_of(numbers):
    """1–12"""
    parts = []
    for n in numbers:
        if parts and n == parts[-1][1] + 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in parts) or "none"


def mean(values):
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else np.nan


def median(values):
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else np.nan
