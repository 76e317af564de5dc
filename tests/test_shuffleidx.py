"""shuffleidx against a model of docs/shuffle.md in plain Python, written without a look at the C sources."""

import json
import zlib
from fractions import Fraction
from itertools import chain, groupby

import numpy as np
import pytest
from oracle import row_dtype, rows_of_design, sealed

MASK = 2**64 - 1
SPLIT = "train=0.8,val=0.1,test=0.1"

# The model ----------------------------------------------------------------------------------------------------------


def splitmix(x):
    while True:
        x = (x + 0x9E3779B97F4A7C15) & MASK
        z = x
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
        yield z ^ (z >> 31)


def rotated(x, k):
    return (x << k | x >> (64 - k)) & MASK


class Generator:
    def __init__(self, state):
        self.s = list(state)

    @classmethod
    def stream(cls, seed, stream):
        outputs = splitmix(next(splitmix(seed)) ^ stream)
        return cls(next(outputs) for _ in range(4))

    def next(self):
        s = self.s
        result = rotated(s[1] * 5 & MASK, 7) * 9 & MASK
        t = s[1] << 17 & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotated(s[3], 45)
        return result

    def below(self, n):
        while True:
            high, low = divmod(self.next() * n, 2**64)
            if low >= 2**64 % n:
                return high

    def permute(self, items):
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]
        return items


def ordered(rows, mode, seed, epoch, part, block_rows=4096, buffer_blocks=4):
    g, rows = Generator.stream(seed, 1 + 16 * epoch + part), [int(row) for row in rows]
    if mode == "full":
        return g.permute(rows)
    if mode == "none":
        return rows
    blocks = g.permute([list(block) for _, block in groupby(rows, lambda row: row // block_rows)])
    out = []
    for k in range(0, len(blocks), buffer_blocks):
        out += g.permute(list(chain.from_iterable(blocks[k : k + buffer_blocks])))
    return out


def sizes_of(groups, fractions):
    wanted = [groups * f for f in fractions]
    sizes = [int(w) for w in wanted]
    by_remainder = sorted(range(len(sizes)), key=lambda p: sizes[p] - wanted[p])  # stable: first named first
    for p in by_remainder[: groups - sum(sizes)]:
        sizes[p] += 1
    return sizes


def runs_of(meta):
    """Run number of each row."""
    label = np.stack([meta["subject_idx"], meta["session"], meta["run"]], 1)
    new = (label[1:] != label[:-1]).any(1) | (np.diff(meta["time"]) <= 0)
    return np.concatenate([[0], np.cumsum(new)])


def pieces_of(meta):
    """Piece number of each row: a new one with every run and behind every gap in time."""
    run = runs_of(meta)
    return np.concatenate([[0], np.cumsum((np.diff(run) > 0) | (np.diff(meta["time"]) != 1))])


class Model:
    """Units, groups and parts of metadata rows."""

    def __init__(self, meta, *, unit="row", by="row", window=1, lag=0, seed=0, split=SPLIT):
        self.meta, self.run, self.piece = meta, runs_of(meta), pieces_of(meta)
        self.parts = dict(item.split("=") for item in split.split(","))
        self.parts = {name: Fraction(f) for name, f in self.parts.items()}
        self.unit, self.by, self.window, self.lag = unit, by, window, lag
        shows = {}
        for row, (run, trial) in enumerate(zip(self.run, meta["trial"], strict=True)):
            if trial >= 0:
                shows.setdefault((run, trial), []).append(row)
        self.shows = list(shows.values())
        self.no_image = int((meta["trial"] < 0).sum()) if (unit, by) == ("row", "image") else 0
        if unit == "presentation":
            self.units = [r for r, *_ in self.shows if len(self.window_of(r)) == window and self.begins_with(r)]
        else:
            self.units = [r for r in range(len(meta)) if by != "image" or meta["trial"][r] >= 0]
        self.assign(seed)
        self.separate()

    def window_of(self, first):
        rows = range(first + self.lag, first + self.lag + self.window)
        return [r for r in rows if 0 <= r < len(self.meta) and self.piece[r] == self.piece[first]]

    def begins_with(self, first):
        """Is the volume before this row there, or was there none?"""
        if self.meta["time"][first] == 0:
            return True
        return first > 0 and self.piece[first - 1] == self.piece[first]

    def key(self, row):
        m = self.meta[row]
        whole = (int(m["subject_idx"]), int(m["session"]), int(m["run"]))
        image = int(m["stimulus_history"][-1])
        return {"row": row, "run": whole, "session": whole[:2], "image": image}[self.by]

    def assign(self, seed):
        keys = sorted({self.key(row) for row in self.units})
        dealt = Generator.stream(seed, 0).permute(list(range(len(keys))))
        part_of, at = {}, 0
        self.groups = sizes_of(len(keys), self.parts.values())
        for p, size in enumerate(self.groups):
            part_of |= {keys[k]: p for k in dealt[at : at + size]}
            at += size
        self.part = {row: part_of[self.key(row)] for row in self.units}

    def separate(self):
        self.shared = [0] * len(self.parts)
        if self.unit == "row" and self.by == "image":
            lookers = [set() for _ in self.meta]
            for rows in self.shows:
                for r in {*rows, *self.window_of(rows[0])}:
                    lookers[r].add(self.part[rows[0]])
            out = [r for r in self.units if len(lookers[r]) > 1]
        elif self.unit == "presentation":
            fractions = list(self.parts.values())
            turns = sorted(range(len(fractions)), key=lambda p: (fractions[p], -p))
            user, out = {}, []
            for p in turns:
                for r in (r for r in self.units if self.part[r] == p):
                    window = self.window_of(r)
                    if {user.get(w, p) for w in window} == {p}:
                        user |= dict.fromkeys(window, p)
                    else:
                        out.append(r)
        else:
            out = []
        for r in out:
            self.shared[self.part.pop(r)] += 1

    def rows(self, p):
        return [r for r in self.units if self.part.get(r) == p]


# Inputs -------------------------------------------------------------------------------------------------------------


def metadata(sessions=2, runs=4, rows=120, images=60, seed=3):
    """Designs of one trial in three rows with gaps, images seen several times, back to back too."""
    rng = np.random.default_rng(seed)
    parts = []
    for session in range(1, sessions + 1):
        for run in range(1, runs + 1):
            design = np.zeros(rows + 7 * run, int)
            onsets = np.arange(3, len(design), 3)
            onsets = onsets[rng.random(len(onsets)) < 0.85]
            design[onsets] = rng.integers(1, images + 1, len(onsets))
            design[onsets[4]] = design[onsets[3]]
            parts.append(rows_of_design(design, tr=4 / 3, session=session, run=run))
    return np.concatenate(parts)


@pytest.fixture
def meta(tmp_path):
    rows = metadata()
    np.save(tmp_path / "x.meta.npy", rows)
    return rows


@pytest.fixture
def gappy(tmp_path):
    """The same with volumes left out: single ones, stretches, the first and the last of runs."""
    rows = metadata()
    rng = np.random.default_rng(8)
    keep = rng.random(len(rows)) > 0.02
    for first in rng.integers(0, len(rows) - 9, 12):
        keep[first : first + 9] = False
    keep[0] = keep[-1] = False
    np.save(tmp_path / "gappy.meta.npy", rows[keep])
    return rows[keep]


def shuffled(run, tmp_path, *args, output="out.npy"):
    """Runs it; the description, and the arrays by file name."""
    run("shuffleidx", *args, tmp_path / output)
    about = json.loads((tmp_path / output).with_suffix(".json").read_text())
    arrays = {f["file"]: np.load(tmp_path / f["file"]) for part in about["parts"] for f in part["files"]}
    for part in about["parts"]:
        for f in part["files"]:
            array = arrays[f["file"]]
            assert array.dtype == "<i8" and array.shape == (f["rows"],)
            assert f["crc32"] == f"{zlib.crc32(array.tobytes()):08x}"
        assert part["rows"] == sum(f["rows"] for f in part["files"])
    return about, arrays


# The generator ------------------------------------------------------------------------------------------------------


def test_model_gives_the_published_outputs():
    """Reference outputs of the authors' C code: splitmix64.c from 1234567, xoshiro256starstar.c from 1, 2, 3, 4."""
    outputs = splitmix(1234567)
    assert [next(outputs) for _ in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    g = Generator([1, 2, 3, 4])
    assert [g.next() for _ in range(10)] == [
        11520,
        0,
        1509978240,
        1215971899390074240,
        1216172134540287360,
        607988272756665600,
        16172922978634559625,
        8476171486693032832,
        10595114339597558777,
        2904607092377533576,
    ]


# Orders -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 1000])
@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (1, 0), (0, 1), (2**53, 2**32 - 1)])
def test_full(run, tmp_path, n, seed, epoch):
    about, arrays = shuffled(run, tmp_path, "--seed", seed, "--epoch", epoch, n)
    assert arrays["out.npy"].tolist() == ordered(range(n), "full", seed, epoch, 0)
    assert about["seed"] == seed and about["epoch"] == epoch and about["input_rows"] == n and about["split"] is None


@pytest.mark.parametrize("n", [1, 64, 1000])
@pytest.mark.parametrize(("rows", "buffer"), [(1, 1), (16, 1), (16, 3), (100, 4), (5000, 2)])
def test_block(run, tmp_path, n, rows, buffer):
    args = ("--mode", "block", "--block-rows", rows, "--buffer-blocks", buffer, "--seed", 5)
    _, arrays = shuffled(run, tmp_path, *args, n)
    assert arrays["out.npy"].tolist() == ordered(range(n), "block", 5, 0, 0, rows, buffer)


def test_block_reads_few_blocks_at_a_time(run, tmp_path):
    args = ("--mode", "block", "--block-rows", 10, "--buffer-blocks", 3)
    order = shuffled(run, tmp_path, *args, 300)[1]["out.npy"]
    assert sorted(order) == list(range(300))
    for k in range(0, 300, 30):
        assert len(set(order[k : k + 30] // 10)) == 3


def test_none(run, tmp_path):
    assert shuffled(run, tmp_path, "--mode", "none", 50)[1]["out.npy"].tolist() == list(range(50))


def test_same_bytes_twice(run, tmp_path, meta):
    args = ("--split", SPLIT, "--by", "image", "--shards", 3, tmp_path / "x.meta.npy", tmp_path / "out.npy")
    runs = []
    for _ in range(2):
        run("shuffleidx", *args)
        runs.append({p.name: p.read_bytes() for p in tmp_path.glob("out*")})
    assert runs[0] == runs[1] and len(runs[0]) == 10


@pytest.mark.parametrize(("n", "shards"), [(10, 1), (10, 3), (11, 4), (7, 7)])
def test_shards(run, tmp_path, n, shards):
    _, arrays = shuffled(run, tmp_path, "--shards", shards, n)
    names = [f"out-{k}-of-{shards}.npy" for k in range(1, shards + 1)] if shards > 1 else ["out.npy"]
    sizes = [len(arrays[name]) for name in names]
    assert max(sizes) - min(sizes) <= 1 and sizes == sorted(sizes, reverse=True)
    assert np.concatenate([arrays[name] for name in names]).tolist() == ordered(range(n), "full", 0, 0, 0)


# Splits -------------------------------------------------------------------------------------------------------------

CASES = [
    {"by": "row"},
    {"by": "row", "split": "all=1"},
    {"by": "image", "split": "all=1.0", "window": 6},
    {"by": "run"},
    {"by": "run", "window": 6},
    {"by": "session", "split": "train=0.5,test=0.5"},
    {"by": "image"},
    {"by": "image", "window": 6},
    {"by": "image", "window": 4, "lag": 2},
    {"by": "image", "window": 5, "lag": -3, "split": "a=0.25,b=0.25,c=0.5"},
    {"by": "image", "window": 2, "lag": 100000},
    {"by": "row", "unit": "presentation"},
    {"by": "row", "unit": "presentation", "window": 6},
    {"by": "run", "unit": "presentation", "window": 6},
    {"by": "image", "unit": "presentation"},
    {"by": "image", "unit": "presentation", "window": 6},
    {"by": "image", "unit": "presentation", "window": 6, "lag": 3},
    {"by": "image", "unit": "presentation", "window": 7, "lag": -2, "split": "test=0.3,train=0.7"},
    {"by": "image", "unit": "presentation", "window": 6, "split": "a=0.3333,b=0.3333,c=0.3334"},
]


def options(case):
    full = {"split": SPLIT} | case
    return [part for key, value in full.items() for part in (f"--{key}", value)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: ",".join(f"{k}={v}" for k, v in case.items()))
@pytest.mark.parametrize("mode", ["full", "block"])
def test_split(run, tmp_path, meta, case, mode):
    if case.get("by") == "run" and "split" not in case:
        case = case | {"split": "train=0.6,val=0.25,test=0.15"}
    model = Model(meta, seed=11, **case)
    how = ("--seed", 11, "--epoch", 2, "--mode", mode, "--block-rows", 50, "--buffer-blocks", 3)
    about, arrays = shuffled(run, tmp_path, *options(case), *how, tmp_path / "x.meta.npy")
    for p, name in enumerate(model.parts):
        assert arrays[f"out.{name}.npy"].tolist() == ordered(model.rows(p), mode, 11, 2, p, 50, 3)
        wanted = {"name": name, "fraction": float(model.parts[name]), "groups": model.groups[p]}
        wanted["left_out_shared"] = model.shared[p]
        assert wanted.items() <= about["parts"][p].items()
    assert about["left_out_no_image"] == model.no_image
    missing = len(model.shows) - len(model.units) if model.unit == "presentation" else 0
    assert about["left_out_outside_run"] == missing


@pytest.mark.parametrize("case", CASES, ids=lambda case: ",".join(f"{k}={v}" for k, v in case.items()))
def test_split_of_runs_with_gaps(run, tmp_path, gappy, case):
    if case.get("by") == "run" and "split" not in case:
        case = case | {"split": "train=0.6,val=0.25,test=0.15"}
    model = Model(gappy, seed=11, **case)
    about, arrays = shuffled(run, tmp_path, *options(case), "--seed", 11, tmp_path / "gappy.meta.npy")
    for p, name in enumerate(model.parts):
        assert arrays[f"out.{name}.npy"].tolist() == ordered(model.rows(p), "full", 11, 0, p)
        assert about["parts"][p]["left_out_shared"] == model.shared[p]
    missing = len(model.shows) - len(model.units) if model.unit == "presentation" else 0
    assert about["left_out_outside_run"] == missing


@pytest.mark.parametrize("lag", [0, 2, -1])
def test_rows_of_a_window_follow_each_other(run, tmp_path, gappy, lag):
    """All that a loader reads is of one run, TR after TR, and the volume before the presentation is there too."""
    args = ("--unit", "presentation", "--window", 4, "--lag", lag, "--mode", "none", tmp_path / "gappy.meta.npy")
    about, arrays = shuffled(run, tmp_path, *args)
    firsts = arrays["out.npy"]
    windows = firsts[:, None] + lag + np.arange(4)
    assert (np.diff(gappy["time"][windows], axis=1) == 1).all()
    assert (np.ptp(runs_of(gappy)[windows], axis=1) == 0).all()
    assert (gappy["time"][firsts] - gappy["time"][firsts - 1] == 1).all()
    assert about["left_out_outside_run"] > 20 and len(firsts) > 100


def test_split_without_shuffle_is_the_same_for_all_epochs(run, tmp_path, meta):
    args = ("--split", SPLIT, "--by", "image", tmp_path / "x.meta.npy")
    first, second = (shuffled(run, tmp_path, "--epoch", e, *args)[1] for e in (0, 1))
    for name in first:
        assert not np.array_equal(first[name], second[name])
        assert np.array_equal(np.sort(first[name]), np.sort(second[name]))
    other = shuffled(run, tmp_path, "--seed", 1, *args)[1]
    assert not np.array_equal(np.sort(other["out.test.npy"]), np.sort(first["out.test.npy"]))


@pytest.mark.parametrize("by", ["row", "run", "image"])
@pytest.mark.parametrize("window", [1, 6])
def test_no_window_is_on_two_sides(run, tmp_path, meta, by, window):
    split = "train=0.6,val=0.2,test=0.2"
    args = ("--split", split, "--by", by, "--unit", "presentation", "--window", window, tmp_path / "x.meta.npy")
    sides = [{r + k for r in rows for k in range(window)} for rows in shuffled(run, tmp_path, *args)[1].values()]
    assert all(sides)
    assert len(set.union(*sides)) == sum(map(len, sides))


@pytest.mark.parametrize("unit", ["row", "presentation"])
def test_no_image_is_on_two_sides(run, tmp_path, meta, unit):
    args = ("--split", SPLIT, "--by", "image", "--unit", unit, "--window", 6, tmp_path / "x.meta.npy")
    about, arrays = shuffled(run, tmp_path, *args)
    images = [set(meta["stimulus_history"][rows, -1].tolist()) for rows in arrays.values()]
    assert all(images) and -1 not in set.union(*images)
    assert len(set.union(*images)) == sum(map(len, images))
    given = sum(map(len, arrays.values()))
    left_out = about["left_out_no_image"] + about["left_out_outside_run"]
    left_out += sum(part["left_out_shared"] for part in about["parts"])
    shows = {(r, t) for r, t in zip(runs_of(meta), meta["trial"], strict=True) if t >= 0}
    assert given + left_out == (len(meta) if unit == "row" else len(shows))


def test_rows_of_a_part_are_in_no_window_of_another(run, tmp_path, meta):
    args = ("--split", SPLIT, "--by", "image", "--window", 6, tmp_path / "x.meta.npy")
    _, arrays = shuffled(run, tmp_path, *args)
    model = Model(meta, by="image", window=6)
    for p, name in enumerate(model.parts):
        rows = set(arrays[f"out.{name}.npy"].tolist())
        for show in model.shows:
            if not rows & set(show) and model.part.get(show[0], p) != p:
                assert not rows & set(model.window_of(show[0]))


def test_json_input_gives_the_same_split_as_the_metadata(run, tmp_path, meta):
    number = runs_of(meta)
    firsts = [int(np.argmax(number == k)) for k in range(number[-1] + 1)]
    lengths = np.diff([*firsts, len(meta)]).tolist()
    runs = [
        {"label": f"r{k}", "session": int(meta["session"][a]), "run": int(meta["run"][a]), "first_row": a, "rows": n}
        for k, (a, n) in enumerate(zip(firsts, lengths, strict=True))
    ]
    about = {"boldmill": "arrays", "schema": 1, "subject": 1, "runs": runs}
    (tmp_path / "x.json").write_bytes(sealed(about))
    args = ("--split", "train=0.5,test=0.5", "--by", "run")
    one = shuffled(run, tmp_path, *args, tmp_path / "x.meta.npy")[1]
    other = shuffled(run, tmp_path, *args, tmp_path / "x.json")[1]
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_order_of_runs_in_the_file_does_not_change_who_is_tested(run, tmp_path, meta):
    moved = np.concatenate([meta[runs_of(meta) == k] for k in (5, 2, 7, 0, 1, 3, 4, 6)])
    np.save(tmp_path / "moved.meta.npy", moved)
    for by in ("run", "session", "image"):
        args = ("--split", "train=0.5,test=0.5", "--by", by, "--mode", "none")
        sides = []
        for name, rows in (("x", meta), ("moved", moved)):
            test = shuffled(run, tmp_path, *args, tmp_path / f"{name}.meta.npy")[1]["out.test.npy"]
            sides.append({rows[r].tobytes() for r in test})
        assert sides[0] == sides[1]


def test_input_is_recorded(run, tmp_path, meta):
    about, _ = shuffled(run, tmp_path, tmp_path / "x.meta.npy")
    crc = zlib.crc32((tmp_path / "x.meta.npy").read_bytes())
    assert f"{crc:08x}" in json.dumps(about["steps"])
    assert about["generator"] == "splitmix64+xoshiro256**" and about["boldmill"] == "shuffle"


# Mistakes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--split", "train=0.8,val=0.1"], ["--split", "0.900000000"]),
        (["--split", "train=0.8,val=0.3"], "1.100000000"),
        (["--split", "train=0.8,train=0.2"], "twice"),
        (["--split", "train=1,val=0"], "val=0"),
        (["--split", "train=1.5,val=-0.5"], "train=1.5"),
        (["--split", "train=8e-1,val=0.2"], "8e-1"),
        (["--split", "train=0.1234567891,val=0.8765432109"], "0.1234567891"),
        (["--split", "../x=0.5,val=0.5"], "../x"),
        (["--split", "=0.5,val=0.5"], "=0.5"),
        (["--split", "train,val"], "train"),
        (["--split", ""], "--split"),
        (["--split", "a=0.5,,b=0.5"], "--split"),
        (["--split", ",".join(f"p{k}=0.05" for k in range(20))], "16"),
        (["--by", "image"], "add --split"),
        (["--split", SPLIT, "--window", "6"], "--window"),
        (["--split", SPLIT, "--lag", "2"], "--window"),
        (["--split", "a=0.96,b=0.02,c=0.02", "--by", "run"], ["part 'b'", "8 runs"]),
        (["--split", SPLIT, "--by", "session"], "2 sessions"),
        (["--by", "subject", "--split", SPLIT], "--by"),
        (["--unit", "trial"], "--unit"),
        (["--mode", "half"], "--mode"),
        (["--unit", "presentation", "--window", "1000"], ["1000", "no run"]),
        (["--unit", "presentation", "--window", "6", "--lag", "500"], "--lag"),
        (["--window", "0"], "--window"),
        (["--block-rows", "0"], "--block-rows"),
        (["--buffer-blocks", "0"], "--buffer-blocks"),
        (["--shards", "0"], "--shards"),
        (["--shards", "3000"], "--shards"),
        (["--shards", "300", "--split", "a=0.9,b=0.1"], ["--shards", "of part b"]),
        (["--seed", "-1"], "--seed"),
        (["--epoch", "x"], "--epoch"),
    ],
)
def test_usage(run, tmp_path, meta, args, says):
    run.fails("shuffleidx", *args, tmp_path / "x.meta.npy", tmp_path / "out.npy", status=2, says=says)
    assert [p.name for p in tmp_path.iterdir()] == ["x.meta.npy"]


@pytest.mark.parametrize("output", ["out", "out.npz", ".npy", "out.json"])
def test_output_names(run, tmp_path, output):
    run.fails("shuffleidx", 10, f"{tmp_path}/{output}", status=2, says=".npy")
    assert list(tmp_path.iterdir()) == []


def test_the_input_is_not_replaced(run, tmp_path, meta):
    before = (tmp_path / "x.meta.npy").read_bytes()
    run.fails("shuffleidx", tmp_path / "x.meta.npy", tmp_path / "x.meta.npy", status=2, says="input")
    args = ("--split", "meta=0.5,other=0.5", tmp_path / "x.meta.npy", tmp_path / "x.npy")
    run.fails("shuffleidx", *args, status=2, says="input")
    assert (tmp_path / "x.meta.npy").read_bytes() == before


def test_a_description_of_something_else_is_not_replaced(run, tmp_path):
    (tmp_path / "general.json").write_text('{"boldmill": "arrays"}')
    run.fails("shuffleidx", 10, tmp_path / "general.npy", status=2, says="general.json")
    assert (tmp_path / "general.json").read_text() == '{"boldmill": "arrays"}'
    assert not (tmp_path / "general.npy").exists()


@pytest.mark.parametrize("args", [["--by", "image", "--split", SPLIT], ["--unit", "presentation"]])
def test_images_need_metadata(run, tmp_path, args):
    run.fails("shuffleidx", *args, 1000, tmp_path / "out.npy", status=2, says="meta.npy")


def test_part_that_keeps_nothing(run, tmp_path):
    """Two images in turn and windows of two trials: every window has both."""
    design = np.zeros(60, int)
    design[::3] = np.arange(20) % 2 + 1
    np.save(tmp_path / "x.meta.npy", rows_of_design(design, tr=4 / 3))
    args = ("--by", "image", "--unit", "presentation", "--window", 6, "--split", "train=0.5,test=0.5")
    run.fails("shuffleidx", *args, tmp_path / "x.meta.npy", tmp_path / "out.npy", says=["train", "keeps nothing"])


def test_metadata_without_stimuli(run, tmp_path):
    np.save(tmp_path / "x.meta.npy", rows_of_design(np.zeros(30, int), tr=4 / 3))
    args = ("--unit", "presentation", tmp_path / "x.meta.npy", tmp_path / "out.npy")
    run.fails("shuffleidx", *args, says="no row has a stimulus")


def damaged(meta, field, row, value):
    rows = meta.copy()
    rows[field][row] = value
    return rows


@pytest.mark.parametrize(
    ("field", "row", "value", "says"),
    [
        ("trial", 40, 0, "backwards"),
        ("trial", 40, -1, "trial -1"),
        ("stimulus_history", 8, -1, "without a stimulus"),
        ("session", 3, -2, "negative"),
    ],
)
def test_contradicting_rows(run, tmp_path, meta, field, row, value, says):
    np.save(tmp_path / "bad.meta.npy", damaged(meta, field, row, value))
    args = (tmp_path / "bad.meta.npy", tmp_path / "out.npy")
    run.fails("shuffleidx", *args, says=["bad.meta.npy", f"row {row}", says])


def test_damaged_inputs(run, tmp_path, meta):
    whole = (tmp_path / "x.meta.npy").read_bytes()
    bad, out = tmp_path / "bad", tmp_path / "out.npy"
    claim = whole.replace(f"({len(meta)},)".encode(), b"(99999999999,)", 1)
    claim = claim.replace(b" " * (len(claim) - len(whole)) + b"\n", b"\n", 1)
    for content, says in [
        (whole[:-1], "ends after"),
        (whole + b"\0", "after its last row"),
        (claim, "of 99999999999 rows"),
        (b"", "neither"),
        (b"hello", "neither"),
        (b"{", "checksum"),
        (sealed({"boldmill": "arrays"}).replace(b"arrays", b"arrayt"), "checksum"),
        (sealed({"boldmill": "shuffle"}), "does not describe"),
        (sealed({"boldmill": "arrays", "schema": 1, "runs": 3}), "does not describe"),
        (sealed({"boldmill": "arrays", "schema": 2, "subject": 1, "runs": []}), "schema"),
        (sealed({"boldmill": "arrays", "schema": 1, "subject": 1, "runs": []}), "no rows"),
        (sealed({"boldmill": "arrays", "schema": 1, "subject": 1, "runs": [{"session": 1, "run": 1}]}), "entry 0"),
    ]:
        bad.write_bytes(content)
        run.fails("shuffleidx", bad, out, says=[str(bad), says])
    np.save(tmp_path / "plain.npy", np.arange(9))
    run.fails("shuffleidx", tmp_path / "plain.npy", out, says="plain.npy")
    run.fails("shuffleidx", tmp_path / "nowhere.npy", out, says="nowhere.npy")
    for number in ("-5", "0", "99999999999999999999"):
        run.fails("shuffleidx", "--", number, out, status=2, says="rows")
    assert not out.exists()


def test_a_description_that_is_too_long(run, tmp_path):
    with (tmp_path / "x.json").open("wb") as f:
        f.write(b"{")
        f.truncate((64 << 20) + 1)  # a hole, which takes no room on the disk
    run.fails("shuffleidx", tmp_path / "x.json", tmp_path / "out.npy", says="x.json: is too long for an arrays")


def test_empty_metadata(run, tmp_path):
    np.save(tmp_path / "x.meta.npy", np.zeros(0, row_dtype(4)))
    run.fails("shuffleidx", tmp_path / "x.meta.npy", tmp_path / "out.npy", says="no rows")
