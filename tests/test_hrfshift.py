"""hrfshift: every metadata row exactly as a loop over time points gives it."""

import numpy as np
import pandas as pd
import pytest
from oracle import loader_history, make_run, read_stream, rows_of_design, rows_of_events, write_stream

TRIALS = 3  # rows a trial


def design(rows=60, seed=0, images=5):
    """A trial every three rows, some blank, few images: back-to-back repeats, and repeats across a blank."""
    rng = np.random.default_rng(seed)
    column = np.zeros(rows, int)
    column[1::TRIALS] = np.array([0, 1, 73000, *range(500, 600)])[rng.integers(0, images + 1, len(column[1::TRIALS]))]
    column[13:17:3] = column[10]
    return column


def write_design(path, column, newline="\n", end=True):
    text = newline.join(map(str, column)) + (newline if end else "")
    path.write_bytes(text.encode())
    return path


def runs_like(columns, tr, subject=2, session=5):
    data = np.arange(12, dtype="<i2")
    how = {"tr": tr, "subject": subject, "session": session}
    return [make_run(np.tile(data, (len(c), 1)), run=k + 1, label=f"r{k}", **how) for k, c in enumerate(columns)]


def shifted(run, runs, *args):
    return read_stream(run("hrfshift", *args, "-", "-", stdin=write_stream(runs)).out)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("offset", [0, 0.5, 4.6, 8])
@pytest.mark.parametrize("history", [1, 4, 9])
def test_the_model_is_the_public_loader(seed, offset, history):
    """Two ways of saying the same: a loop here, a table of shifted labels there."""
    column = design(seed=seed)
    ours = rows_of_design(column, tr=4 / 3, offset=offset, history=history, repeats="merge")["stimulus_history"]
    assert np.array_equal(ours, loader_history(column, 4 / 3, offset, history))
    counted = rows_of_design(column, tr=4 / 3, offset=offset, history=history)["stimulus_history"]
    assert history == 1 or not np.array_equal(ours, counted)


@pytest.mark.parametrize("repeats", ["count", "merge"])
@pytest.mark.parametrize("offset", [0, 0.5, 1.25, 2.5, 3.5, 3.75, 4.6, 8])
@pytest.mark.parametrize("tr", [4 / 3, 1.0, 2.5])
def test_rows_of_designs(run, tmp_path, repeats, offset, tr):
    path = write_design(tmp_path / "design.tsv", design())
    (got,) = shifted(run, runs_like([design()], tr), "--design", path, "--offset", offset, "--repeats", repeats)
    wanted = rows_of_design(design(), tr=tr, offset=offset, repeats=repeats, subject=2, session=5, run=1)
    assert got.meta.dtype == wanted.dtype
    for field in wanted.dtype.names:
        assert np.array_equal(got.meta[field], wanted[field]), field
    assert got.head["history"] == 4


def test_defaults(run, tmp_path):
    """4.6 s, a history of four, repeats counted: three TRs of 4/3 s as float32 headers have it."""
    path = write_design(tmp_path / "design.tsv", design())
    for tr in (4 / 3, float(np.float32(4 / 3))):
        (got,) = shifted(run, runs_like([design()], tr), "--design", path)
        assert np.array_equal(got.meta, rows_of_design(design(), tr=4 / 3, subject=2, session=5))
    assert (got.meta["stimulus_history"][:4] == -1).all() and got.meta["trial"][3] == -1


@pytest.mark.parametrize("history", [1, 2, 7, 1024])
def test_history(run, tmp_path, history):
    path = write_design(tmp_path / "design.tsv", design())
    (got,) = shifted(run, runs_like([design()], 1.0), "--design", path, "--history", history)
    assert np.array_equal(got.meta, rows_of_design(design(), tr=1.0, history=history, subject=2, session=5))


def test_a_repeat_is_a_new_presentation_unless_merged(run, tmp_path):
    column = [9, 0, 0, 9, 0, 0, 4, 0, 0, 0, 0, 0, 4, 0, 0, 9]
    path = write_design(tmp_path / "design.tsv", column)
    how = [runs_like([column], 1.0), "--design", path, "--offset", 1, "--history", 3]
    counted, merged = (shifted(run, *how, "--repeats", r)[0].meta for r in ("count", "merge"))
    assert counted["stimulus_history"][-1].tolist() == [8, 3, 3]
    assert counted["trial"].tolist() == [-1, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3]
    assert merged["stimulus_history"][-1].tolist() == [-1, 8, 3]
    assert merged["trial"].tolist() == [-1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]


def test_history_restarts_with_every_run_and_templates_find_the_designs(run, tmp_path):
    columns = [design(seed=k, rows=40 + k) for k in range(3)]
    folder = tmp_path / "subj02"
    folder.mkdir()
    for k, column in enumerate(columns):
        write_design(folder / f"s05_r{k + 1:02d}_{k + 1}.tsv", column)
    template = tmp_path / "subj{subject}" / "s{session}_r{run}_{run:d}.tsv"
    for got, column in zip(shifted(run, runs_like(columns, 4 / 3), "--design", template), columns, strict=True):
        wanted = rows_of_design(column, tr=4 / 3, subject=2, session=5, run=got.head["run"])
        assert np.array_equal(got.meta, wanted)
        assert (got.meta["stimulus_history"][0] == -1).all()


def test_data_pass_untouched(run, tmp_path):
    path = write_design(tmp_path / "design.tsv", design())
    made = runs_like([design()], 1.0)[0]
    (got,) = shifted(run, [made], "--design", path)
    assert np.array_equal(got.data, made.data) and got.data.dtype == made.data.dtype
    assert np.array_equal(got.voxels, made.voxels)


@pytest.mark.parametrize("form", ["crlf", "no-end"])
def test_line_ends(run, tmp_path, form):
    newline = "\r\n" if form == "crlf" else "\n"
    path = write_design(tmp_path / "design.tsv", design(), newline, end=form != "no-end")
    (got,) = shifted(run, runs_like([design()], 1.0), "--design", path)
    assert np.array_equal(got.meta, rows_of_design(design(), tr=1.0, subject=2, session=5))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1\n0\n",
        "1\n" * 61,
        "1\n0\n" * 29 + "x\n0\n",
        "1\t2\n" * 60,
        "-1\n" * 60,
        "1.5\n" * 60,
        "99999999999\n" * 60,
    ],
)
def test_designs_that_are_not_right(run, tmp_path, text):
    path = tmp_path / "design_bad.tsv"
    path.write_text(text)
    source = tmp_path / "in.npys"
    source.write_bytes(write_stream(runs_like([design()], 1.0)))
    run.fails("hrfshift", "--design", path, source, tmp_path / "out.h5", says="design_bad.tsv")
    assert not (tmp_path / "out.h5").exists()


def test_design_of_another_length_says_both(run, tmp_path):
    path = write_design(tmp_path / "design.tsv", design(rows=59))
    stream = write_stream(runs_like([design()], 1.0))
    done = run.fails("hrfshift", "--design", path, "-", tmp_path / "out.h5", stdin=stream, says=["59", "60"])
    assert str(path) in done.err


def test_one_file_for_many_runs_is_not_taken_twice(run, tmp_path):
    path = write_design(tmp_path / "design.tsv", design())
    stream = write_stream(runs_like([design(), design()], 1.0))
    run.fails("hrfshift", "--design", path, "-", tmp_path / "out.h5", stdin=stream, status=2, says="{run}")


def test_designs_one_by_one(run, tmp_path):
    """As many --design as runs, in the runs' order; one too many is a mistake as much as one too few."""
    columns = [design(seed=k) for k in range(3)]
    paths = [write_design(tmp_path / f"d{k}.tsv", c) for k, c in enumerate(columns)]
    args = [a for p in paths for a in ("--design", p)]
    for got, column in zip(shifted(run, runs_like(columns, 1.0), *args), columns, strict=True):
        assert np.array_equal(got.meta, rows_of_design(column, tr=1.0, subject=2, session=5, run=got.head["run"]))
    stream = write_stream(runs_like(columns[:2], 1.0))
    done = run.any("hrfshift", *args, "-", tmp_path / "out.h5", stdin=stream)
    assert done.status in (1, 2) and not (tmp_path / "out.h5").exists()


def test_labelling_again_replaces_the_rows(run, tmp_path):
    """Another delay on labelled data; and the names of categories go where ids no longer have names."""
    path = write_design(tmp_path / "design.tsv", design(rows=32))
    EVENTS.to_csv(tmp_path / "events.tsv", sep="\t", index=False)
    (named,) = shifted(run, runs_like([[0] * 32], 2.5), "--design", tmp_path / "events.tsv")
    (again,) = shifted(run, [named], "--design", tmp_path / "events.tsv", "--offset", 0, "--history", 2)
    how = {"volumes": 32, "tr": 2.5, "subject": 2, "session": 5, "history": 2}
    assert np.array_equal(again.meta, rows_of_events(EVENTS, offset=0, **how))
    (plain,) = shifted(run, [named], "--design", path)
    assert np.array_equal(plain.meta, rows_of_design(design(rows=32), tr=2.5, subject=2, session=5))
    assert plain.head["categories"] == []


def test_missing_design_names_the_file(run, tmp_path):
    stream = write_stream(runs_like([design()], 1.0))
    template = tmp_path / "d{session}_{run}.tsv"
    run.fails("hrfshift", "--design", template, "-", tmp_path / "o.h5", stdin=stream, says="d05_01.tsv")


# Events in seconds --------------------------------------------------------------------------------------------------


EVENTS = pd.DataFrame(
    {
        "onset": [2.5, 10.0, 17.5, 27.5, 40.0, 45.0, 60.0],
        "duration": [5.0, 7.5, 5.0, 2.5, 5.0, 2.5, 10.0],
        "trial_type": ["shoe", "cat", "cat", "face", "Über", "shoe", "cat"],
    }
)


@pytest.mark.parametrize("offset", [0, 1.0, 2.5, 4.6, 8])
@pytest.mark.parametrize("history", [1, 4])
def test_rows_of_events(run, tmp_path, offset, history):
    EVENTS.to_csv(tmp_path / "events.tsv", sep="\t", index=False)
    volumes = [0] * 32
    args = ["--design", tmp_path / "events.tsv", "--offset", offset, "--history", history]
    (got,) = shifted(run, runs_like([volumes], 2.5), *args)
    how = {"volumes": 32, "tr": 2.5, "offset": offset, "history": history, "subject": 2, "session": 5, "run": 1}
    wanted = rows_of_events(EVENTS, **how)
    for field in wanted.dtype.names:
        assert np.array_equal(got.meta[field], wanted[field]), field
    assert got.head["categories"] == sorted(set(EVENTS["trial_type"]), key=str.encode)


@pytest.mark.parametrize("offset", [0, 3.0])
def test_events_off_the_grid_of_time_points(run, tmp_path, offset):
    """Onsets before the run, between volumes, at their halves and past the end; durations down to none."""
    table = EVENTS.assign(
        onset=[-4.0, 1.24, 1.25, 8.8, 21.3, 30.0, 5000.0], duration=[2.0, 0.0, 3.75, 1.1, 9.0, 60.0, 1.0]
    )
    table.iloc[[3, 0, 6, 1, 2, 5, 4]].to_csv(tmp_path / "events.tsv", sep="\t", index=False)
    args = ["--design", tmp_path / "events.tsv", "--offset", offset]
    (got,) = shifted(run, runs_like([[0] * 32], 2.5), *args)
    wanted = rows_of_events(table, volumes=32, tr=2.5, offset=offset, subject=2, session=5)
    for field in wanted.dtype.names:
        assert np.array_equal(got.meta[field], wanted[field]), field


@pytest.mark.parametrize("onset", ["1e300", "-1e300", "9e18"])
def test_onsets_from_another_world(run, tmp_path, onset):
    """No number of rows: refused, or as good as never (or always) there; the rest stays right."""
    text = EVENTS.to_csv(sep="\t", index=False) + f"{onset}\t1\tcat\n"
    (tmp_path / "events.tsv").write_text(text)
    stream = write_stream(runs_like([[0] * 32], 2.5))
    done = run.any("hrfshift", "--design", tmp_path / "events.tsv", "-", "-", stdin=stream)
    if done.status == 0 and onset[0] != "-":
        wanted = rows_of_events(EVENTS, volumes=32, tr=2.5, offset=4.6, subject=2, session=5)
        assert np.array_equal(read_stream(done.out)[0].meta, wanted)
    else:
        assert done.status == 1 and "events.tsv" in done.err


def test_columns_in_any_order_and_rows_that_are_not_events(run, tmp_path):
    table = EVENTS.assign(response="n/a", kind=EVENTS["trial_type"]).iloc[::-1]
    table.loc[len(table)] = [5.0, 2.5, "rest", "n/a", "n/a"]
    table[["kind", "response", "duration", "trial_type", "onset"]].to_csv(tmp_path / "e.tsv", sep="\t", index=False)
    args = ["--design", tmp_path / "e.tsv", "--column", "kind", "--offset", 0]
    (got,) = shifted(run, runs_like([[0] * 32], 2.5), *args)
    how = {"volumes": 32, "tr": 2.5, "offset": 0, "subject": 2, "session": 5}
    assert np.array_equal(got.meta, rows_of_events(EVENTS, **how))


def test_categories_are_shared_by_all_runs_or_given(run, tmp_path):
    tables = [EVENTS[:3], EVENTS[3:]]
    for k, table in enumerate(tables):
        table.to_csv(tmp_path / f"run-{k + 1}_events.tsv", sep="\t", index=False)
    template = tmp_path / "run-{run:d}_events.tsv"
    stream = runs_like([[0] * 32, [0] * 32], 2.5)
    every = sorted(set(EVENTS["trial_type"]), key=str.encode)
    given = ["shoe", "cat", "Über", "face", "never"]
    for args, names in (([], every), (["--categories", ",".join(given)], given)):
        for got, table in zip(shifted(run, stream, "--design", template, *args), tables, strict=True):
            how = {"volumes": 32, "tr": 2.5, "offset": 4.6, "subject": 2, "session": 5, "run": got.head["run"]}
            assert got.head["categories"] == names
            assert np.array_equal(got.meta, rows_of_events(table, **how, categories=names))
    done = run.any("hrfshift", "--design", template, "--categories", "shoe,cat", "-", "-", stdin=write_stream(stream))
    assert done.status == 1 and "face" in done.err


def test_categories_that_are_no_text(run, tmp_path):
    """Two of them would have the same name in JSON, r?ve."""
    (tmp_path / "events.tsv").write_bytes(b"onset\tduration\ttrial_type\n4\t4\tr\xeave\n8\t4\tr\xe8ve\n")
    stream = write_stream(runs_like([[0] * 32], 2.5))
    run.fails("hrfshift", "--design", tmp_path / "events.tsv", "-", "-", stdin=stream, says=["events.tsv", "UTF-8"])


def test_categories_come_from_the_runs_own_events_alone(run, tmp_path):
    """A file that only looks like a run's, with something else where the number stands, gives no category."""
    table = "onset\tduration\ttrial_type\n4\t4\t{}\n"
    (tmp_path / "run-01_events.tsv").write_text(table.format("cat"))
    (tmp_path / "run-01_desc-x_events.tsv").write_text(table.format("apple"))
    made = make_run(np.arange(40, dtype="<i2").reshape(20, 2) ** 2, run=1)
    template = tmp_path / "run-{run}_events.tsv"
    (got,) = read_stream(run("hrfshift", "--design", template, "-", "-", stdin=write_stream([made])).out)
    assert got.head["categories"] == ["cat"]


@pytest.mark.parametrize("what", ["column", "text", "short", "nan"])
def test_events_that_are_not_right(run, tmp_path, what):
    text = EVENTS.to_csv(sep="\t", index=False)
    changed = {
        "column": text.replace("trial_type", "kind"),
        "text": text.replace("17.5", "17.5s"),
        "short": text.replace("\tcat\n", "\n", 1),
        "nan": text.replace("27.5", "nan"),
    }[what]
    assert changed != text
    (tmp_path / "events.tsv").write_text(changed)
    stream = write_stream(runs_like([[0] * 32], 2.5))
    args = ["--design", tmp_path / "events.tsv", "-", tmp_path / "out.h5"]
    run.fails("hrfshift", *args, stdin=stream, says="events.tsv")
    assert not (tmp_path / "out.h5").exists()


def test_events_that_name_their_stimuli_by_number(run, tmp_path):
    """--ids numbers: 73k ids as they stand, no categories; what is no number is an error."""
    numbers = dict(zip(sorted(set(EVENTS["trial_type"])), [0, 72999, 41, 7], strict=True))
    EVENTS.assign(image=EVENTS["trial_type"].map(numbers)).to_csv(tmp_path / "events.tsv", sep="\t", index=False)
    args = ["--design", tmp_path / "events.tsv", "--ids", "numbers", "--column"]
    (got,) = shifted(run, runs_like([[0] * 32], 2.5), *args, "image")
    wanted = rows_of_events(EVENTS.assign(trial_type=EVENTS["trial_type"].map(numbers)), **NUMBERED)
    assert np.array_equal(got.meta, wanted) and got.head["categories"] == []
    stream = write_stream(runs_like([[0] * 32], 2.5))
    run.fails(
        "hrfshift", *args, "trial_type", "-", "-", stdin=stream, says=["events.tsv", "shoe", "no stimulus number"]
    )
    args += ["image", "--categories", "a,b"]
    run.fails("hrfshift", *args, "-", "-", stdin=stream, status=2, says=["--ids", "--categories"])


NUMBERED = {"volumes": 32, "tr": 2.5, "offset": 4.6, "subject": 2, "session": 5, "categories": range(73000)}


def test_a_missing_column_lists_those_that_exist(run, tmp_path):
    EVENTS.assign(stim_file="a.png").drop(columns="trial_type").to_csv(tmp_path / "e.tsv", sep="\t", index=False)
    stream = write_stream(runs_like([[0] * 32], 2.5))
    says = ["e.tsv", "no column trial_type", "onset, duration, stim_file"]
    run.fails("hrfshift", "--design", tmp_path / "e.tsv", "-", tmp_path / "out.h5", stdin=stream, says=says)
    more = pd.DataFrame(0, EVENTS.index, [f"column_{k:03d}" for k in range(200)])
    many = pd.concat([EVENTS.rename(columns={"trial_type": "kind"}), more], axis=1)
    many.to_csv(tmp_path / "e.tsv", sep="\t", index=False)
    done = run.fails("hrfshift", "--design", tmp_path / "e.tsv", "-", "-", stdin=stream, says=["kind, column_000"])
    assert done.err.strip().endswith(", ...") and "column_199" not in done.err


def test_events_without_a_time(run, tmp_path):
    """n/a as a duration is an impulse; as an onset it is fine where nothing was presented, and else an error."""
    table = EVENTS.astype(object)
    table.loc[len(table)] = ["n/a", "n/a", "n/a"]
    table.loc[2, "duration"] = "n/a"
    table.to_csv(tmp_path / "e.tsv", sep="\t", index=False)
    (got,) = shifted(run, runs_like([[0] * 32], 2.5), "--design", tmp_path / "e.tsv")
    impulse = EVENTS.copy()
    impulse.loc[2, "duration"] = 0
    wanted = rows_of_events(impulse, volumes=32, tr=2.5, offset=4.6, subject=2, session=5)
    assert np.array_equal(got.meta, wanted)
    table.loc[len(table)] = ["n/a", 1.0, "cat"]
    table.to_csv(tmp_path / "e.tsv", sep="\t", index=False)
    stream = write_stream(runs_like([[0] * 32], 2.5))
    run.fails("hrfshift", "--design", tmp_path / "e.tsv", "-", "-", stdin=stream, says=["line 10", "onset", "n/a"])


def test_patterns_take_the_designs_of_runs_alone(run, tmp_path):
    """Not what else the shell's * would find, and the folder's name is no pattern of the shell."""
    folder = tmp_path / "a[1]*?"
    folder.mkdir()
    EVENTS.to_csv(folder / "run-1_events.tsv", sep="\t", index=False)
    EVENTS.assign(trial_type="other").to_csv(folder / "run-x_events.tsv", sep="\t", index=False)
    (tmp_path / "a1").mkdir()
    EVENTS.assign(trial_type="another").to_csv(tmp_path / "a1" / "run-1_events.tsv", sep="\t", index=False)
    (got,) = shifted(run, runs_like([[0] * 32], 2.5), "--design", folder / "run-{run:d}_events.tsv")
    assert got.head["categories"] == sorted(set(EVENTS["trial_type"]), key=str.encode)


def test_a_placeholder_that_is_not_closed(run, tmp_path):
    EVENTS.to_csv(tmp_path / "run-{run", sep="\t", index=False)
    stream = write_stream(runs_like([[0] * 32], 2.5))
    run.fails(
        "hrfshift", "--design", tmp_path / "run-{run", "-", "-", stdin=stream, status=2, says="unknown placeholder"
    )


@pytest.mark.parametrize("bad", [1, 2])
def test_a_bad_table_among_those_of_a_pattern(run, tmp_path, bad):
    for k in (1, 2):
        table = EVENTS.drop(columns="trial_type") if k == bad else EVENTS
        table.to_csv(tmp_path / f"run-{k}_events.tsv", sep="\t", index=False)
    args = ["--design", tmp_path / "run-{run:d}_events.tsv", "-", tmp_path / "out.h5"]
    run.fails("hrfshift", *args, stdin=write_stream(runs_like([[0] * 32] * 2, 2.5)), says=f"run-{bad}_events.tsv")
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize("names", ["cat,,shoe", ","])
def test_categories_without_a_name(run, tmp_path, names):
    EVENTS.to_csv(tmp_path / "e.tsv", sep="\t", index=False)
    args = ["--design", tmp_path / "e.tsv", "--categories", names, "-", "-"]
    run.fails("hrfshift", *args, status=2, says=["--categories", "has an empty name"])


@pytest.mark.parametrize(("onset", "duration"), [("-2e9", "1"), ("5", "2e9")])
def test_events_longer_than_any_scan(run, tmp_path, onset, duration):
    (tmp_path / "events.tsv").write_text(EVENTS.to_csv(sep="\t", index=False) + f"{onset}\t{duration}\tcat\n")
    stream = write_stream(runs_like([[0] * 32], 2.5))
    says = [f"onset {float(onset):g} s", f"duration {float(duration):g} s", "correct the table"]
    run.fails("hrfshift", "--design", tmp_path / "events.tsv", "-", "-", stdin=stream, says=says)
