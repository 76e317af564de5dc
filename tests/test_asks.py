"""What jobs ask a cluster for."""

import pytest

from operate import asks


@pytest.fixture
def files(tmp_path):
    """Of 100 MB, 300 MB and one that is not there yet; they take no space."""
    made = []
    for name, size in (("a", 100), ("b", 300)):
        path = tmp_path / name
        with path.open("wb") as file:
            file.truncate(size * 1_000_000)
        made.append(str(path))
    return [*made, str(tmp_path / "missing")]


def test_memory_follows_the_largest_input_and_doubles(files):
    ask = asks.memory(1000, per_largest=2)
    assert [ask(None, files, attempt) for attempt in (1, 2, 3)] == [1536, 3072, 6144]
    assert [asks.memory(least)(None, files, 1) for least in (512, 1000)] == [512, 1024]
    assert ask(None, files[2:], 1) == 1024


def test_minutes_follow_all_inputs_and_double(files):
    ask = asks.minutes(10, per_gb=50)
    assert [ask(None, files, attempt) for attempt in (1, 2, 3)] == [30, 60, 120]
    assert asks.minutes(10)(None, files, 1) == 10
