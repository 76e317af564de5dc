"""Reading ahead: what the system is told, and that it changes no batch."""

import boldmill
import numpy as np
import pytest
from boldmill import ahead, core
from samples import RUNS, load, make_arrays

ROWS = sum(rows for _, _, rows in RUNS)
ROW_BYTES = 37 * 4
HOW = {"block_rows": 16, "buffer_blocks": 3, "seed": 2}


@pytest.fixture(scope="module")
def stem(run, tmp_path_factory):
    return make_arrays(run, tmp_path_factory.mktemp("arrays"))


@pytest.fixture
def told(monkeypatch):
    """What the core was told, as ("fetch" or "release", rows); it hears it, too."""
    told = []

    def listening(name):
        real = getattr(core, name)

        def listen(file, rows):
            assert rows.flags.c_contiguous and rows.dtype == np.int64 and (np.diff(rows) > 0).all()
            told.append((name, rows.tolist()))
            return real(file, rows)

        return listen

    for name in ("fetch", "release"):
        monkeypatch.setattr(core, name, listening(name))
    return told


def listened(stem, told, order, size, memory, start=0, **how):
    """Batches as lists of rows, and what was told before and after each."""

    class Noting(boldmill.TimePoints):
        def batch(self, items, **more):
            told.append(("batch", self.rows[items].tolist()))
            return super().batch(items, **more)

    points = Noting(stem, output="numpy", **how)
    loader = boldmill.Loader(points, size, order, memory_bytes=memory, **HOW)
    loader.load_state_dict(loader.state_dict() | {"batches": start})
    fmri = load(stem)[0]
    batches = list(loader)
    rows = [rows for what, rows in told if what == "batch"]
    for got, wanted in zip(batches, rows, strict=True):
        assert np.array_equal(got, fmri[wanted])
    return rows


@pytest.mark.parametrize("order", ["sequential", "shuffled", "block"])
@pytest.mark.parametrize("size", [5, 16, 40, 47, 1000])
@pytest.mark.parametrize("memory", [1, 40 * ROW_BYTES, 10**9])
@pytest.mark.parametrize("start", [0, 1])
def test_rows_are_asked_for_before_they_are_read(stem, told, order, size, memory, start):
    listened(stem, told, order, size, memory, start)
    asked, given, read = set(), set(), set()
    for what, rows in told:
        if what == "fetch":
            assert not asked & set(rows)  # each once
            asked |= set(rows)
        elif what == "batch":
            assert set(rows) <= asked and not set(rows) & given
            read |= set(rows)
        else:
            assert set(rows) <= asked and not given & set(rows)
            given |= set(rows)
    if start == 0:
        assert asked == set(range(ROWS))
        assert given == (set() if memory == 10**9 else set(range(ROWS)))


def test_little_memory_reads_little_ahead(stem, told):
    rows = listened(stem, told, "sequential", 10, 30 * ROW_BYTES)
    asked = read = given = 0
    for what, rows in told:
        asked += len(rows) * (what == "fetch")
        given += len(rows) * (what == "release")
        if what == "batch":
            read += len(rows)
            assert asked - read <= 10 and read - given <= 20


def test_a_group_of_blocks_is_asked_for_in_order(stem, told):
    listened(stem, told, "block", 8, 10**9)
    before = []
    for what, rows in told:
        if what == "batch":
            break
        before.append(rows)
    # the first group of three blocks of 16 whole, in one ascending piece; then a part of the second
    assert len(before[0]) in (48, 32 + ROWS % 16) and len({row // 16 for row in before[0]}) == 3
    assert sum(map(len, before[1:])) <= 48


def test_chosen_rows_alone_are_asked_for(stem, told):
    listened(stem, told, "block", 8, 10**9, rows=np.arange(ROWS) % 5 == 0)
    asked = [row for what, rows in told if what == "fetch" for row in rows]
    assert sorted(asked) == list(range(0, ROWS, 5))


def test_all_regions_are_asked_for(run, stem, told, tmp_path):
    other = make_arrays(run, tmp_path, "other", voxels=12)
    points = [boldmill.TimePoints(name, output="numpy") for name in (stem, other)]
    list(boldmill.Loader(boldmill.Join(points), 50, memory_bytes=100))
    for name in ("fetch", "release"):
        rows = [row for what, rows in told if what == name for row in rows]
        assert sorted(rows) == sorted([*range(ROWS)] * 2)


def test_workers_keep_what_others_need(stem, told):
    loader = boldmill.Loader(boldmill.TimePoints(stem, output="numpy"), 10, memory_bytes=1)
    assert sum(len(batch) for worker in range(3) for batch in loader.share(worker, 3)) == ROWS
    assert "release" not in {what for what, _ in told}


@pytest.mark.parametrize(
    ("files", "there"),
    [
        ({}, 1 << 62),
        ({"/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:   2000 kB\n"}, 2000 * 1024),
        ({"/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/memory.max": "77777\n"}, 77777),
        ({"/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/memory.max": "max\n"}, 1 << 62),
        (
            {
                "/proc/meminfo": "MemAvailable:   2000 kB\n",
                "/proc/self/cgroup": "4:cpu,memory:/b\n0::/\n",
                "/sys/fs/cgroup/memory/b/memory.limit_in_bytes": "5000\n",
            },
            5000,
        ),
    ],
)
def test_memory_there(monkeypatch, files, there):
    monkeypatch.setattr(ahead, "_text", lambda path: files.get(path, ""))
    assert ahead.memory_there() == there


def test_memory_there_is_some():
    assert 1 << 20 < ahead.memory_there() < 1 << 50
