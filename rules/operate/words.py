"""Numbers, sizes and times as people read them."""


def size(n):
    """3.4 GB"""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= factor:
            return f"{n / factor:.3g} {unit}" if n < 999.5 * factor else f"{n / factor:,.0f} {unit}"
    return f"{n} bytes"


def size_in_column(n):
    """With three digits also where they are zeros, as others above and below have them: 20.0 MB"""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= factor:
            rounded = float(f"{n / factor:.3g}")
            return f"{rounded:,.{max(0, 3 - len(str(int(rounded))))}f} {unit}"
    return size(n)


def shown(text):
    """A text as it may be printed: in one line, and without commands to a terminal."""
    return str(text) if str(text).isprintable() else ascii(str(text))[1:-1]


def number(n):
    return f"{n:,}"


def many(n, what):
    """1 run, 2 runs"""
    return f"{number(n)} {what}{'s' * (n != 1)}"


def duration(seconds):
    """35 s, 14 min, 3.4 h"""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
