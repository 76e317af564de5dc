"""The report's pictures from what boldqc measured: slices and carpets as PNG, time courses as SVG.

PNG files are written by zlib alone, so that the same figures give the same bytes and the page needs nothing else.
"""

import base64
import json
import os
import zlib

import numpy as np

WIDTH = 960  # pixels of a session's time axis
BETWEEN = 4  # pixels between two runs
CARPET = 110  # lines of a carpet
SLICES = 9
# Matplotlib's viridis at nine places, and greys: what the field's pictures look like.
ANCHORS = {
    "viridis": ["440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725"],
    "grey": ["000000", "ececec"],
}
SHADES = {"viridis": 48, "grey": 48}
WHITE = np.array([[255, 255, 255]], np.uint8)  # stands in the palette for nothing, which is transparent


class Quality:
    """What boldqc wrote of a session (docs/formats.md)."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.info = json.loads(text)
        if self.info.get("crc32") != f"{zlib.crc32(text[: text.rindex(',')].encode()):08x}":
            raise ValueError(f"{path}: is damaged; remove it, and it is measured again")
        self.runs, self.dims = self.info["runs"], self.info["grid"]["dims"]
        self.session = self.runs[0]["session"]
        self.affine = np.array(self.info["grid"]["affine"])
        self.maps, self.carpet = (array(path, self.info[which]) for which in ("maps", "carpet"))

    @property
    def voxels(self):
        ranges = self.info["voxel_ranges"]
        return np.concatenate([np.arange(a, a + n) for a, n in zip(ranges[::2], ranges[1::2], strict=True)])

    def volume(self, index):
        """One of the maps in its grid, NaN outside of it; axes to the right, to the front and up."""
        volume = np.full(int(np.prod(self.dims)), np.nan, np.float32)
        volume[self.voxels] = self.maps[index]
        order, flips = directions(self.affine[:, :3])
        volume = volume.reshape(self.dims).transpose(order)
        return volume[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]

    def courses(self, key):
        """A time course of each run; NaN where there is no value."""
        return [np.array([np.nan if v is None else v for v in run[key]], float) for run in self.runs]


def array(path, entry):
    """The array that a description names, where its content is what it says."""
    name = os.path.join(os.path.dirname(path), entry["file"])
    with open(name, "rb") as file:
        if f"{zlib.crc32(file.read()):08x}" != entry["crc32"]:
            raise ValueError(f"{name}: is not what {path} says; remove both, and they are measured again")
    return np.load(name, mmap_mode="r")


def directions(matrix):
    """Which voxel axes run most along right, front and up, and which of them the other way."""
    left, order = [0, 1, 2], []
    for row in range(3):
        axis = max(left, key=lambda a: abs(matrix[row, a]))
        left.remove(axis)
        order.append(axis)
    return order, [bool(matrix[row, axis] < 0) for row, axis in enumerate(order)]


# PNG


def palette(name):
    """Colours of the shades; in front, what has no value."""
    anchors = np.array([[int(c[i : i + 2], 16) for i in (0, 2, 4)] for c in ANCHORS[name]], float)
    places = np.linspace(0, len(anchors) - 1, SHADES[name])
    mixed = np.stack([np.interp(places, np.arange(len(anchors)), anchors[:, k]) for k in range(3)], 1)
    return np.vstack([WHITE, (mixed + 0.5).astype(np.uint8)])


def shades(values, low, high, n):
    """Places in a palette of n shades: 0 where there is no value."""
    scaled = np.clip((np.nan_to_num(values, nan=low) - low) / max(high - low, 1e-30), 0, 1)
    return np.where(np.isfinite(values), 1 + (scaled * (n - 1) + 0.5).astype(np.uint8), 0).astype(np.uint8)


def png(pixels, colours):
    """(data URI, width, height) of places [height, width] in a palette."""
    height, width = pixels.shape

    def chunk(kind, body):
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    rows = np.hstack([np.zeros((height, 1), np.uint8), pixels]).tobytes()
    data = b"\x89PNG\r\n\x1a\n"
    data += chunk(b"IHDR", width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, 3, 0, 0, 0)))
    data += chunk(b"PLTE", colours.tobytes()) + chunk(b"tRNS", b"\0")
    data += chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(data).decode(), width, height


# Slices


def top(values, percent=99):
    """The upper end of a colour scale that begins at 0."""
    finite = values[np.isfinite(values)]
    return float(np.percentile(finite, percent)) if finite.size else 1.0


def extent(flags):
    """First and last of the flags that are set; all where none is."""
    found = np.flatnonzero(flags)
    return (found[0], found[-1]) if found.size else (0, len(flags) - 1)


def mosaic(volume, n=SLICES):
    """Axial slices from bottom to top, side by side; the right of the brain on the right, its front up."""
    inside = np.isfinite(volume)
    (x0, x1), (y0, y1), (z0, z1) = (extent(inside.any(axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    heights = np.unique(np.linspace(z0, z1, n + 2).round().astype(int)[1:-1])
    cut = volume[x0 : x1 + 1, y0 : y1 + 1]
    edge = np.full((cut.shape[1], 2), np.nan, np.float32)
    return np.hstack([part for z in heights for part in (cut[:, ::-1, z].T, edge)][:-1])


def slices(volume, high, colours):
    return png(shades(mosaic(volume), 0.0, high, SHADES[colours]), palette(colours))


# Time


class Axis:
    """Where each run lies on a session's time axis of WIDTH pixels."""

    def __init__(self, rows):
        self.rows = rows
        free = WIDTH - BETWEEN * (len(rows) - 1)
        ends = np.round(np.cumsum(rows) / sum(rows) * free).astype(int)
        self.widths = np.maximum(np.diff(ends, prepend=0), 1)
        self.left = np.cumsum(self.widths) - self.widths + BETWEEN * np.arange(len(rows))

    def binned(self, values, run, fold):
        """One value for each pixel of a run from those of its rows (the last axis)."""
        edges = np.arange(self.widths[run]) * self.rows[run] // self.widths[run]
        return np.stack(
            [fold(values[..., a : max(b, a + 1)]) for a, b in zip(edges, [*edges[1:], self.rows[run]], strict=True)],
            -1,
        )


def mean(values):
    return values.mean(-1)


def peak(values):
    """The largest; NaN where there is none."""
    return np.where(np.isfinite(values), values, -np.inf).max(-1)


def carpet(quality, axis):
    """Voxels from top to bottom, as grey. They are ordered by how they follow the mean of all, the most similar first
    (Aquino et al. 2020), and neighbours in this order share a line."""
    values = np.nan_to_num(np.asarray(quality.carpet, np.float32)).T
    ordered = values[np.argsort(-(values @ values.mean(0)), kind="stable")]
    lines = min(CARPET, len(ordered))
    edges = np.arange(lines) * len(ordered) // lines
    ordered = np.add.reduceat(ordered, edges, 0) / np.diff([*edges, len(ordered)])[:, None]
    sheet = np.full((lines, WIDTH), np.nan, np.float32)
    for k, run in enumerate(quality.runs):
        part = ordered[:, run["first_row"] : run["first_row"] + run["rows"]]
        sheet[:, axis.left[k] : axis.left[k] + axis.widths[k]] = axis.binned(part, k, mean)
    spread = max(np.nanpercentile(np.abs(sheet), 97), 1e-6)
    return png(shades(sheet, -spread, spread, 16), np.vstack([WHITE, greys(16)]))


def greys(n):
    return np.repeat((np.arange(n) * 255 / (n - 1) + 0.5).astype(np.uint8)[:, None], 3, 1)


def strip(axis, courses, low, high, fold, height=44):
    """Time courses of all runs as SVG, one line a run; values are cut off at low and high."""
    lines = []
    for k, course in enumerate(courses):
        values = np.asarray(axis.binned(course, k, fold), float)
        y = height - 2 - np.clip((values - low) / max(high - low, 1e-30), 0, 1) * (height - 4)
        points = [f"{axis.left[k] + i},{v:.1f}" for i, v in enumerate(y) if np.isfinite(values[i])]
        lines.append(f'<polyline points="{" ".join(points)}"/>' if points else "")
        if k:
            x = axis.left[k] - BETWEEN / 2
            lines.append(f'<line class="run" x1="{x}" x2="{x}" y1="0" y2="{height}"/>')
    return f'<svg viewBox="0 0 {WIDTH} {height}" preserveAspectRatio="none" aria-hidden="true">{"".join(lines)}</svg>'
