"""The mistakes that one makes first, as workflow and download tell them: what is there, and what was meant."""

import pytest

pytest.importorskip("snakemake", reason="Snakemake is not installed; make .venv/ready installs it")

from configuration import schema
from dataset.dataset import Dataset
from dataset.files import Disk

NSD = "nsddata_timeseries/ppdata/subj{}/func1pt8mm/timeseries/timeseries_session01_run{:02d}.nii.gz"
ROI = "nsddata/ppdata/subj01/func1pt8mm/roi/{}.nii.gz"


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def said(root, ask, **config):
    """The message of an error."""

    def dataset():
        whole = schema.complete({"root": str(root), **config})
        return Dataset(whole, Disk(), ValueError, print, print)

    with pytest.raises(ValueError) as error:
        ask(dataset())
    return str(error.value)


@pytest.fixture
def nsd(tmp_path):
    for subject in ("01", "02"):
        touch(tmp_path / NSD.format(subject, 1))
    for name in ("nsdgeneral", "lh.nsdgeneral", "streams"):
        touch(tmp_path / ROI.format(name))
    return tmp_path


@pytest.fixture
def bids(tmp_path):
    (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
    for k in range(14):
        touch(tmp_path / f"sub-{k:02d}/func/sub-{k:02d}_task-look_bold.nii.gz")
    return tmp_path


def test_another_subject(nsd):
    text = said(nsd, lambda data: data.scans("09"))
    assert text.endswith(
        "no run of subject 09 is there (there are runs of 01, 02); correct root, layout or the subject"
    )


def test_a_label_with_its_key(bids):
    text = said(bids, Dataset.subjects, subjects="sub-01", layout={"preset": "bids"})
    assert text.startswith('config: subjects: "sub-01": a subject\'s label has letters and digits alone; there are')
    assert text.endswith("runs of 00, 01, 02, 03, 04, 05, 06, 07, 08, 09, 10, 11 and 2 more")


def test_bids_read_as_something_else(bids):
    for ask in (Dataset.subjects, lambda data: data.scans("01")):
        assert said(bids, ask).endswith("; it looks like BIDS, for which there is layout: {preset: bids}")
    assert "looks like BIDS" not in said(bids, lambda data: data.scans("77"), layout={"preset": "bids"})


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("nsdgenerall", "did you mean nsdgeneral?"),
        ("visual", "correct rois, or where the layout looks for it (there are nsdgeneral, streams)"),
    ],
)
def test_another_roi(nsd, name, advice):
    text = said(nsd, lambda data: data.selection("01", name))
    assert text.endswith(f"no volume {name} is there; {advice}")


def test_a_roi_that_looks_the_same(nsd):
    """One accented letter, or a letter and its accent, as some systems write names."""
    touch(nsd / ROI.format("cafe\u0301"))
    text = said(nsd, lambda data: data.selection("01", "caf\xe9"))
    assert text.endswith('is there; one that looks the same is, in other Unicode characters; write "cafe\\u0301"')


def test_a_place_is_named_once(bids):
    text = said(bids, lambda data: data.selection("01", "V1"), layout={"preset": "bids"})
    assert text.count("derivatives/rois/V1.nii.gz") == 1


def test_many_missing_files_are_told_in_a_few_lines(nsd):
    design = nsd / (NSD.format("01", 1).replace("timeseries/", "design/").replace("timeseries_s", "design_s"))
    for run in range(2, 15):
        touch(nsd / NSD.format("01", run))
    touch(design.with_suffix("").with_suffix(".tsv"))
    lines = said(nsd, lambda data: data.runs("01")).splitlines()
    assert len(lines) == 9 and lines[-1] == "... and 6 more" and all("design is missing" in x for x in lines[:-1])
