"""The report: what is in the page of a subject, and where it comes from."""

import base64
import gzip
import html
import io
import json
import re
import shutil
from html.parser import HTMLParser

import nibabel as nib
import numpy as np
import pytest
import yaml
from conftest import ROOT
from flow import Flow

from configuration.complaints import complaints
from operate import words
from report import motion, pictures, tables

pytest.importorskip("snakemake", reason="Snakemake is not installed; make .venv/ready installs it")

GENERAL = "cache/subj01/general.fmri.npy"
PAGE = "cache/subj01/report.html"
SECTIONS = ["Overview", "All runs", "Missing runs", "Table of sessions", "Pictures", "Arrays", "Counts", "Settings"]
SECTIONS += ["Provenance", "Definitions"]


class Page(HTMLParser):
    """Headings, pictures, tables and everything that names a resource."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.images, self.links, self.cells, self.open = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.open.append(tag)
        if tag == "img":
            self.images.append(given)
        self.links += [given[key] for key in ("src", "href", "data", "action") if key in given]
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if self.open and self.open[-1] in ("h2",):
            self.headings.append(data)
        if {"td", "th"} & set(self.open):
            self.cells[-1][-1] += data


@pytest.fixture(scope="module")
def page(reported):
    return Page(reported.path(PAGE).read_text())


def pixels(image):
    import matplotlib.image

    data = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))
    return matplotlib.image.imread(io.BytesIO(data), format="png")[..., :3]


def test_page(page, reported):
    text = reported.path(PAGE).read_text()
    assert page.headings == SECTIONS and text.count("<h3>Session ") == 2
    assert all(link.startswith(("#", "data:")) for link in page.links) and "<script" not in text
    assert not re.search(r"(?:src|href|url\()\s*=?\s*[\"']?https?:", text)
    for image in page.images:
        assert image["alt"] and image["loading"] == "lazy"
        assert pixels(image).shape[:2] == (int(image["height"]), int(image["width"]))
    assert [image["alt"].split(" of ")[0] for image in page.images[:3]] == [
        "Axial slices",
        "Axial slices",
        "Carpet plot",
    ]
    assert text.count("arbitrary units") == 2
    assert len(page.images) == 6 and reported.second.text.count("rule quality:") == 2


def test_mean_slices_are_those_of_the_scans(page, two_sessions):
    """The picture, decoded, beside slices that nibabel and numpy cut from the scans."""
    files = sorted(two_sessions.rglob("timeseries_session01_run*.nii.gz"))
    images = [nib.as_closest_canonical(nib.load(path)) for path in files]
    data = np.stack([np.asarray(image.dataobj)[..., :225] for image in images]).astype(float)
    inside, mean = data.any((0, 4)), data.mean((0, 4))
    x, y, z = (np.flatnonzero(inside.any(axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    heights = np.unique(np.linspace(z[0], z[-1], pictures.SLICES + 2).round().astype(int)[1:-1])
    shown = pixels(page.images[0])
    assert np.ptp(shown, axis=-1).max() < 1e-3  # grey
    width = x[-1] - x[0] + 1
    for k, height in enumerate(heights):
        part = shown[:, k * (width + 2) :][:, :width, 0]
        slab = np.s_[x[0] : x[-1] + 1, y[0] : y[-1] + 1, height]
        expected, brain = np.flipud(mean[slab].T), np.flipud(inside[slab].T)
        assert np.all(part[~brain] == 1) and np.all(part[brain] < 1)
        order = np.argsort(expected[brain])
        assert np.all(np.diff(part[brain][order]) > -1e-6)  # the brighter the scan, the brighter the picture


def test_table_of_sessions(page, two_sessions, run, reported):
    at = next(i for i, row in enumerate(page.cells) if row and row[0] == "Session")
    heads, *rows = page.cells[at : at + 3]
    table = [dict(zip(heads, row, strict=True)) for row in rows]
    for session, row in enumerate(table, 1):
        moved = []
        for k in (1, 2, 3):
            path = next(two_sessions.rglob(f"motion_session{session:02d}_run{k:02d}.tsv"))
            moves = np.loadtxt(path)[:225]
            change = np.abs(moves[1:] - moves[:-1])
            moved.append((change[:, :3].sum(1) + 50 * change[:, 3:6].sum(1)).mean())
        assert float(row["Displacement, mm"]) == pytest.approx(np.mean(moved), abs=6e-4)
        assert row["Runs"] == "1–3" and row["Time points"] == "675" and row["Volumes dropped"] == "3"
        snr = [float(each["tsnr"]) for each in quality(reported, session)["runs"]]
        assert float(row["Median tSNR"]) == pytest.approx(np.median(snr), abs=0.051)
        size = reported.path(f"cache/subj01/session_{session:02d}.h5").stat().st_size
        assert row["Packed"] == words.size_in_column(size)


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (999, "999 bytes"),
        (1000, "1.00 kB"),
        (9_999_000, "10.0 MB"),
        (19_950_930, "20.0 MB"),
        (123_456_789, "123 MB"),
        (999_700_000, "1,000 MB"),
        (3.2e12, "3,200 GB"),
    ],
)
def test_sizes_of_a_column_have_the_same_digits(n, expected):
    assert words.size_in_column(n) == expected


def test_one_run_is_not_many():
    assert tables.counted(1, "run") == ("1", "run") and tables.counted(1200, "run") == ("1,200", "runs")


def quality(flow, session):
    return json.loads(flow.path(f"cache/quality/subj01/session_{session:02d}.json").read_text())


def test_what_the_report_costs_those_who_do_not_ask(reported):
    assert reported.listed == ["benchmark", "log", "subj01", "summary.json"]


def test_the_direct_route_packs_nothing_and_shows_the_same(reported, two_sessions, tmp_path):
    flow = Flow(tmp_path, {"root": str(two_sessions), "route": "direct"})
    done = flow(PAGE)
    assert [rule for rule, _ in done.jobs] == ["quality", "quality", "subject_report"]
    assert not list(tmp_path.rglob("*.h5"))
    for end in ("maps.npy", "carpet.npy"):
        name = f"cache/quality/subj01/session_02.{end}"
        assert flow.bytes(name) == reported.bytes(name)
    direct, packed = Page(flow.path(PAGE).read_text()), Page(reported.path(PAGE).read_text())
    assert [image["src"] for image in direct.images] == [image["src"] for image in packed.images]


def test_the_same_again(reported, two_sessions, tmp_path):
    flow = Flow(tmp_path, {"root": str(two_sessions), "threads": {"pack": 1, "arrays": 1}})
    flow(GENERAL)
    flow(PAGE)
    assert flow.bytes(PAGE) == reported.bytes(PAGE)


def test_arrays_and_report_in_one_call(two_sessions, tmp_path):
    """The page has the arrays that the call makes, whatever of them it was asked for; it makes no others."""
    flow = Flow(tmp_path, {"root": str(two_sessions), "rois": {"general": "nsdgeneral", "V1": "lh.streams"}})
    flow("cache/subj01/general.shuffle.npy", "report")
    rows = [row[0] for row in Page(flow.path(PAGE).read_text()).cells if row and ".fmri.npy" in row[0]]
    assert rows == ["general.fmri.npy"] or rows == ["cache/subj01/general.fmri.npy"]
    assert not flow.path("cache/subj01/V1.json").exists() and flow.plan("report") == []
    flow("all", "report")
    assert flow.path(PAGE).read_text().count(".fmri.npy</code>") == 2


def test_a_missing_page_is_made_while_arrays_are_made_again(two_sessions, tmp_path):
    flow = Flow(tmp_path, {"root": str(two_sessions)})
    flow(GENERAL, PAGE)
    flow.path(PAGE).unlink()
    done = flow("all", "report", clean={"order": 2})
    assert ("arrays", "general.fmri.npy") in done.jobs and flow.path(PAGE).exists()


def test_missing_runs_are_in_the_report(two_sessions, tmp_path):
    holes = tmp_path / "root"
    shutil.copytree(two_sessions, holes)
    gone = next(holes.rglob("timeseries_session02_run02.nii.gz"))
    gone.unlink()
    flow = Flow(tmp_path, {"root": str(holes), "allow_missing": True})
    done = flow(GENERAL)
    assert f"boldmill: left out: {gone}" in done.text
    flow("report")
    page = Page(flow.path(PAGE).read_text())
    row = next(row for row in page.cells if row and row[0] == "2")
    assert row[1] == "1, 3"
    (told,) = [cell for cells in page.cells for cell in cells if gone.name in cell]
    assert told.endswith(f"{gone.name}: this run is missing (runs 1-3 are known)")
    assert "allow_missing: true" not in done.text  # advice that was followed


def test_damage_is_named(reported, tmp_path):
    folder = tmp_path / "flow"
    shutil.copytree(reported.folder, folder, symlinks=True)
    flow = Flow(folder, reported.config)
    path = flow.path("cache/quality/subj01/session_01.json")
    path.write_text(path.read_text().replace('"tr":', '"tR":', 1))
    done = flow.fails("report", options=["-f", "--rerun-triggers", "mtime"], says="")
    assert "session_01.json: is damaged" in done.text


@pytest.mark.parametrize("which", ["maps", "carpet"])
def test_damaged_arrays_are_named(reported, tmp_path, which):
    names = [f"session_01.{end}" for end in ("json", "maps.npy", "carpet.npy")]
    for name in names:
        shutil.copy(reported.path(f"cache/quality/subj01/{name}"), tmp_path)
    assert pictures.Quality(str(tmp_path / names[0])).maps.shape[0] == 3
    path = tmp_path / f"session_01.{which}.npy"
    data = path.read_bytes()
    path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    with pytest.raises(ValueError, match=f"{which}.npy: is not what .*session_01.json says; remove both"):
        pictures.Quality(str(tmp_path / names[0]))


def test_shown_sessions_are_the_chosen(two_sessions, tmp_path):
    flow = Flow(tmp_path, {"root": str(two_sessions), "sessions": "2", "report": {"order": 0, "voxels": 7}})
    flow("report")
    text = flow.path(PAGE).read_text()
    assert re.findall(r"<h3>(.*?)</h3>", text) == ["Session 2"] and "polynomial of order 0" in text
    assert np.load(flow.path("cache/quality/subj01/session_02.carpet.npy")).shape == (675, 7)


def test_headings_pictures_and_settings_of_the_page(reported):
    text = reported.path(PAGE).read_text()
    levels = [int(level) for level in re.findall("<h([1-6])", text)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert max(b - a for a, b in zip(levels, levels[1:], strict=False)) == 1
    assert all(re.search(r' alt="[^"]{10,}"', image) for image in re.findall("<img[^>]*>", text))
    settings = yaml.safe_load(html.unescape(re.search(r'id="settings">.*?<pre>(.*?)</pre>', text, re.DOTALL)[1]))
    assert settings["layout"]["preset"] == "nsd" and settings["clean"]["order"] == 1
    assert not complaints(settings, yaml.safe_load((ROOT / "config/schema.yaml").read_text()))


# Motion -------------------------------------------------------------------------------------------------------------


def test_displacement():
    moves = np.array([[0, 0, 0, 0, 0, 0], [1, -2, 0.5, 0.01, 0, 0], [1, -2, 0.5, 0.01, -0.02, 0.1]], float)
    assert np.allclose(motion.displacement(moves), [np.nan, 3.5 + 0.5, 1 + 5], equal_nan=True)


@pytest.mark.parametrize(
    ("text", "expected", "source"),
    [
        ("0 0 0 0 0 0\n1 0 0 0 0 0\n", [np.nan, 1], "columns 1 to 3"),
        ("0 0 0 0 0 0 9\n0 2 0 0 0 0.1 3\n", [np.nan, 7], "columns 1 to 3"),
        ("a\tframewise_displacement\n1\tn/a\n2\t0.25\n", [np.nan, 0.25], "framewise_displacement"),
        (
            "rot_x\trot_y\trot_z\ttrans_x\ttrans_y\ttrans_z\n0\t0\t0\t0\t0\t0\n0.1\t0\t0\t0\t1\t0\n",
            [np.nan, 6],
            "trans_",
        ),
        ("csf\tglobal\n1\t2\n3\t4\n", None, "no columns of motion"),
        ("1 2\n3 4\n", None, "no columns of motion"),
    ],
)
def test_tables_of_motion(tmp_path, text, expected, source):
    path = tmp_path / "table.tsv"
    path.write_text(text)
    found, told = motion.read(str(path))
    assert source in told
    assert found is None if expected is None else np.allclose(found, expected, equal_nan=True)


def test_what_comes_from_files_is_text():
    """A description may have been made by somebody who means harm; the page is opened in a browser."""
    odd = "<script>alert(1)</script>"
    run = {
        "session": 1,
        "run": 1,
        "counts": {odd: 1},
        "steps": [{"program": odd, "version": odd, "settings": {odd: 1}}],
    }
    fmri = {"file": odd, "dtype": odd, "shape": [3, 4]}
    info = {"kind": "arrays", "fmri": fmri, "meta": None, "sessions": [1], "runs": [run], "bytes": 5, "file": odd}
    parts = [tables.arrays([info]), tables.counts([], [info]), tables.provenance([], [info])]
    parts.append(tables.missing({"left_out": [odd]}))
    assert all("&lt;script&gt;" in part and "<script" not in part for part in parts)


def test_a_table_of_motion_that_inflates_without_end(tmp_path, monkeypatch):
    path = tmp_path / "table.tsv.gz"
    path.write_bytes(gzip.compress(b"1 2 3 4 5 6\n" * 100))
    assert motion.read(str(path))[0].shape == (100,)
    monkeypatch.setattr(motion, "MOST", 1199)
    with pytest.raises(ValueError, match=r"table\.tsv\.gz: is larger than 64 MB"):
        motion.read(str(path))


def test_motion_of_rows_that_are_left():
    moved = np.arange(6.0)
    assert motion.of_rows(moved, {"rows": 3}).tolist() == [0, 1, 2]
    found = motion.of_rows(moved, {"rows": 3, "times": [1, 4, 9]})
    assert found[:2].tolist() == [1, 4] and np.isnan(found[2])
