"""The download of what a configuration needs, from a bucket behind a proxy that breaks things on purpose."""
# ruff: noqa: F401, F811 - imported fixtures

import errno
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import makebids
import pytest
from conftest import PATIENCE, ROOT, last_line

pytest.importorskip("boto3", reason="boto3 is not installed; make .venv/ready installs it")
pytest.importorskip("moto", reason="moto is not installed; make .venv/ready installs it")

from fetching import (
    DATA,
    DESIGN,
    NUMBERS,
    RUN,
    SERIES,
    call_fetch,
    dataset,
    no_credentials,
    nsd,
    parts,
    remote,
    server,
    tree_files,
    uploaded,
)
from s3server import KEYS, also, cut, flip, slow, stall, status

from fetch import download, program


def expected(sessions=((1, range(1, 13)), (21, range(2, 14))), designs=((1, 12), (21, 14))):
    names = {RUN.format(session, run) for session, runs in sessions for run in runs}
    names |= {DESIGN.format(session, run) for session, most in designs for run in range(1, most + 1)}
    return names | {"nsddata/ppdata/subj01/func1pt8mm/roi/nsdgeneral.nii.gz"}


def test_exactly_what_is_needed(dataset, nsd, tmp_path, call_fetch):
    """Runs without those at rest, all designs (they tell rest), the ROI. No decoys, no motion, no stimuli."""
    call_fetch(dataset)
    got = tree_files(tmp_path / "got")
    assert set(got) == expected()
    assert all(data == (nsd / name).read_bytes() for name, data in got.items())
    assert dataset.read() == {f"some/where/{name}" for name in got}
    assert len(dataset.gets("gz")) + len(dataset.gets("tsv")) == len(got), "each once"


CHOICES = {
    "one session": ({"sessions": 1}, expected([(1, range(1, 13))], [(1, 12)])),
    "some runs": ({"sessions": 21, "runs": "1-3"}, expected([(21, (2, 3))], [(21, 3)])),  # run 1 is at rest
    "motion for the report": (
        {"sessions": 1, "runs": 2, "remote": {"extras": ["motion"]}},
        expected([(1, [2])], [])
        | {DESIGN.format(1, 2)}
        | {f"{SERIES}/motion/motion_session01_run{run:02d}.tsv" for run in range(1, 13)},
    ),
    "motion": (
        {"sessions": 1, "runs": 2, "clean": {"confounds": {"columns": "1-6"}}},
        expected([(1, [2])], []) | {DESIGN.format(1, 2), f"{SERIES}/motion/motion_session01_run02.tsv"},
    ),
    "labels by name": (
        {"sessions": 1, "runs": 2, "rois": {"V1": {"file": "prf-visualrois", "labels": ["V1v"], "hemi": "lh"}}},
        {
            RUN.format(1, 2),
            DESIGN.format(1, 2),
            "nsddata/ppdata/subj01/func1pt8mm/roi/lh.prf-visualrois.nii.gz",
            "nsddata/freesurfer/subj01/label/prf-visualrois.mgz.ctab",
        },
    ),
    "no arrays": ({"sessions": 1, "runs": 2, "targets": ["packed"]}, {RUN.format(1, 2), DESIGN.format(1, 2)}),
    "stimuli": (
        {"sessions": 1, "runs": 2, "remote": {"extras": ["images", "experiment"]}},
        expected([(1, [2])], [])
        | {
            DESIGN.format(1, 2),
            "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5",
            "nsddata/experiments/nsd/nsd_expdesign.mat",
            "nsddata/experiments/nsd/nsd_stim_info_merged.csv",
        },
    ),
    "patterns": (
        {
            "sessions": 1,
            "runs": 2,
            "targets": ["packed"],
            "remote": {"extras": ["nsddata/ppdata/subj{subject}/{space}/valid_session{session}.nii.gz"]},
        },
        {RUN.format(1, 2), DESIGN.format(1, 2), "nsddata/ppdata/subj01/func1pt8mm/valid_session01.nii.gz"},
    ),
}


@pytest.mark.parametrize("choice", CHOICES)
def test_choices(dataset, nsd, tmp_path, call_fetch, choice):
    """A dry run says what a real one then does: the same files, the same sum."""
    settings, names = CHOICES[choice]
    dry = call_fetch(dataset, "--dry-run", **settings)
    lines = [line.split() for line in dry.out.splitlines()]
    assert {url.split("/where/")[1] for *_, url in lines} == names
    assert not (tmp_path / "got").exists()
    total = sum(int(size) for size, *_ in lines)
    assert f"to be fetched: {len(names)} files, {total} bytes" in dry.err
    said = call_fetch(dataset, **settings).err
    assert f"{total} bytes were transferred" in said
    assert tree_files(tmp_path / "got").keys() == names
    assert total == sum((nsd / name).stat().st_size for name in names)


SMALL = {"sessions": 1, "runs": "1-3"}


def test_a_second_call_transfers_nothing(dataset, tmp_path, call_fetch):
    call_fetch(dataset, **SMALL)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "got").rglob("*.gz")}
    assert "0 bytes were transferred" in call_fetch(dataset, **SMALL).err
    assert dataset.read() == set()
    dry = call_fetch(dataset, "--dry-run", **SMALL)
    assert "to be fetched: 0 files, 0 bytes" in dry.err and dataset.read() == set()
    assert before == {path: path.stat().st_mtime_ns for path in before} and len(before) == 4


def test_what_is_new_in_the_bucket_is_fetched(dataset, nsd, tmp_path, call_fetch):
    call_fetch(dataset, **SMALL)
    new = gzip.compress(b"another", mtime=0)
    dataset.put(f"some/where/{RUN.format(1, 2)}", new)
    call_fetch(dataset, **SMALL)
    assert dataset.read() == {f"some/where/{RUN.format(1, 2)}"}
    assert (tmp_path / "got" / RUN.format(1, 2)).read_bytes() == new
    dataset.put(f"some/where/{RUN.format(1, 2)}", (nsd / RUN.format(1, 2)).read_bytes())


def test_what_is_no_longer_in_the_bucket(dataset, nsd, tmp_path, call_fetch):
    """It stays, and that is said."""
    call_fetch(dataset, **SMALL)
    key = f"some/where/{RUN.format(1, 3)}"
    dataset.client.delete_object(Bucket=dataset.bucket, Key=key)
    try:
        said = call_fetch(dataset, **SMALL).err
        assert (
            f"1 file, no longer in the bucket, used as fetched before: {tmp_path / 'got' / RUN.format(1, 3)}" in said
        )
        assert "fetch: 6 files (" in said and "0 bytes were transferred" in said and "of 0 files" not in said
        assert (tmp_path / "got" / RUN.format(1, 3)).read_bytes() == (nsd / RUN.format(1, 3)).read_bytes()
    finally:
        dataset.put(key, (nsd / RUN.format(1, 3)).read_bytes())
    assert "no longer" not in call_fetch(dataset, **SMALL).err


def test_verify_reads_all_of_it(dataset, tmp_path, call_fetch):
    call_fetch(dataset, **SMALL)
    assert "7 files" in call_fetch(dataset, "--verify", **SMALL).err
    path = tmp_path / "got" / RUN.format(1, 2)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    call_fetch(dataset, **SMALL)  # size and record are right: not seen
    call_fetch(dataset, "--verify", fails=f"{path.name}: its MD5 is", **SMALL)
    path.unlink()
    call_fetch(dataset, "--verify", fails=f"{path.name}: is not there", **SMALL)
    call_fetch(dataset, **SMALL)
    call_fetch(dataset, "--verify", **SMALL)


def test_verify_knows_what_no_etag_tells(dataset, tmp_path, call_fetch):
    """The MD5 of what was fetched is in the record."""
    dataset.put_parts("some/where/odd.bin", random.Random(6).randbytes(7 << 20), 6 << 20)
    how = {**extras("odd.bin"), "sessions": 1, "runs": 1, "targets": ["packed"]}
    call_fetch(dataset, **how)
    call_fetch(dataset, "--verify", **how)
    path = tmp_path / "got/odd.bin"
    path.write_bytes(b"x" + path.read_bytes()[1:])
    call_fetch(dataset, "--verify", fails="odd.bin: its MD5 was", **how)


def test_files_that_were_there_before(dataset, nsd, tmp_path, call_fetch):
    """One that is the bucket's is taken as it is; one that is not is nobody's to overwrite, until told so."""
    mine, other = tmp_path / "got" / RUN.format(1, 1), tmp_path / "got" / RUN.format(1, 2)
    mine.parent.mkdir(parents=True)
    mine.write_bytes((nsd / RUN.format(1, 1)).read_bytes())
    call_fetch(dataset, **SMALL)
    assert f"some/where/{RUN.format(1, 1)}" not in dataset.read() and len(dataset.read()) == 6
    assert "0 bytes were transferred" in call_fetch(dataset, **SMALL).err

    journal = tmp_path / "got/.fetch/done.jsonl"
    journal.unlink()
    for wrong in (b"my own", bytes(len((nsd / RUN.format(1, 2)).read_bytes()))):
        other.write_bytes(wrong)
        call_fetch(dataset, fails=f"{other.name}: was there before and is not what the bucket has", **SMALL)
        assert other.read_bytes() == wrong
    call_fetch(dataset, "--replace", **SMALL)
    assert other.read_bytes() == (nsd / RUN.format(1, 2)).read_bytes()


def test_a_record_that_was_cut_off(dataset, tmp_path, call_fetch):
    """A crash in the middle of a line costs a comparison, and nothing else."""
    call_fetch(dataset, **SMALL)
    journal = tmp_path / "got/.fetch/done.jsonl"
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join(lines)[:-20])
    assert "0 bytes were transferred" in call_fetch(dataset, **SMALL).err
    assert "0 bytes were transferred" in call_fetch(dataset, **SMALL).err
    whole = [line for line in journal.read_text().splitlines() if line.endswith("}")]
    assert {json.loads(line)["path"] for line in whole} == tree_files(tmp_path / "got").keys()


def test_faults_on_the_way_do_not_show(dataset, nsd, tmp_path, call_fetch):
    """All at once, and in the listing too."""
    dataset.faults("run01.nii.gz", cut(1000), status(503), flip(5000))
    dataset.faults("run02.nii.gz", status(500, "InternalError"), cut(0))
    dataset.faults("run03.tsv", flip(0), cut(10))
    dataset.faults("nsdgeneral.nii.gz", also(slow(0.2), cut(50)))
    call_fetch(dataset, **SMALL)
    assert not any(dataset.plans.values())
    got = tree_files(tmp_path / "got")
    assert len(got) == 7 and all(data == (nsd / name).read_bytes() for name, data in got.items())


def test_one_failure_does_not_stop_the_others(dataset, tmp_path, call_fetch):
    dataset.faults("run02.nii.gz", *[status(403, "AccessDenied")] * 9)
    said = call_fetch(dataset, fails="run02.nii.gz: access is denied", **SMALL)
    assert "5 of 4" not in said.err
    assert len(tree_files(tmp_path / "got")) == 6
    dataset.plans.clear()
    call_fetch(dataset, **SMALL)
    assert dataset.read() == {f"some/where/{RUN.format(1, 2)}"}


def test_bids(server, tmp_path, call_fetch):
    """Sidecars, events and dataset_description.json come along; what other tasks need does not."""
    root = makebids.raw(tmp_path / "bids", subjects=("01", "02"), sessions=("a", "b"))
    makebids.raw(tmp_path / "other", task="rest")
    for path in (tmp_path / "other").rglob("*_task-rest_*"):
        target = root / path.relative_to(tmp_path / "other")
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    makebids.write(root / "participants.tsv", "participant_id\n")
    makebids.write(root / "derivatives/rois/V1.nii.gz", "")
    (root / "derivatives/rois/V1.nii.gz").write_bytes(gzip.compress(b"roi"))
    server.new_bucket(f"bids-{next(NUMBERS)}")
    server.tree(root, "ds000114/")
    layout = {"preset": "bids", "entities": {"task": "look"}}
    how = {"prefix": "ds000114", "layout": layout, "sessions": "a", "subjects": 2, "rois": {"V1": "V1"}}
    call_fetch(server, **how)
    got = tree_files(tmp_path / "got")
    names = {"dataset_description.json", "task-look_bold.json", "derivatives/rois/V1.nii.gz"}
    for run, kind in ((1, "bold.nii.gz"), (2, "bold.nii.gz"), (1, "events.tsv"), (2, "events.tsv")):
        names.add(f"sub-02/ses-a/func/sub-02_ses-a_task-look_run-{run}_{kind}")
    assert got.keys() == names and server.read() == {f"ds000114/{name}" for name in names}
    assert all(data == (root / name).read_bytes() for name, data in got.items())


# What is refused


REFUSED = {
    "no such bucket": ({"url": "s3://no-such-bucket-here"}, "there is no such bucket; correct remote: url"),
    "no such folder": ({}, "no run is there; correct root or layout"),
    "no credentials": ({"anonymous": False}, "no credentials were found; set remote: .anonymous"),
    "no such profile": ({"anonymous": False, "profile": "nobody"}, "profile .*nobody.* correct profile"),
    "nobody there": ({"endpoint": "http://127.0.0.1:9", "retries": 1}, "the connection fails .*2 attempts"),
    "no url": ({"endpoint": "nonsense"}, "Invalid endpoint: nonsense; correct profile, region or endpoint"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_refused(dataset, tmp_path, call_fetch, why):
    settings, words = REFUSED[why]
    call_fetch(dataset, fails=words, remote=settings, prefix="some/where" if settings else "else/where")
    assert not tree_files(tmp_path / "got") if (tmp_path / "got").exists() else True


def test_tls(dataset, call_fetch, tmp_path):
    """A certificate that nobody vouches for."""
    import ssl
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    pem = tmp_path / "own.pem"
    done = subprocess.run([*made, "-keyout", str(pem), "-out", f"{pem}.crt"], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("openssl is not installed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{pem}.crt", pem)
    https = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    https.handle_error = lambda *args: None
    https.socket = context.wrap_socket(https.socket, server_side=True)
    threading.Thread(target=https.serve_forever, daemon=True).start()
    endpoint = f"https://127.0.0.1:{https.server_address[1]}"
    call_fetch(dataset, fails="certificate cannot be trusted .*; set AWS_CA_BUNDLE", remote={"endpoint": endpoint})
    https.shutdown()


def test_a_private_bucket(server, tmp_path, call_fetch, monkeypatch):
    """Nothing without credentials, everything with them."""
    server.new_bucket(f"private-{next(NUMBERS)}")
    server.tree(makebids.raw(tmp_path / "bids"))
    server.client.put_bucket_acl(Bucket=server.bucket, ACL="private")
    for page in server.client.list_objects_v2(Bucket=server.bucket)["Contents"]:
        server.client.put_object_acl(Bucket=server.bucket, Key=page["Key"], ACL="private")
    how = {"prefix": "", "layout": {"preset": "bids"}, "sessions": "all", "targets": ["packed"]}
    call_fetch(server, fails="access is denied .*; without credentials", **how)
    for name, value in KEYS.items():
        monkeypatch.setenv(name.upper(), value)
    call_fetch(server, remote={"anonymous": False}, **how)
    assert len(tree_files(tmp_path / "got")) == 6


def test_a_disk_that_is_too_small(dataset, tmp_path, call_fetch, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: type("", (), {"free": 1000})())
    call_fetch(dataset, fails="are to be fetched and 1 kB are free; make room", **SMALL)
    assert not [name for name in tree_files(tmp_path / "got") if name.endswith(".gz")]


@pytest.mark.parametrize("what", ["a run", "the record"])
def test_a_disk_that_fills_up_meanwhile(dataset, nsd, tmp_path, call_fetch, monkeypatch, what):
    """The message names the file; the next call goes on."""
    call = "pwrite" if what == "a run" else "fsync"
    kept, name = getattr(os, call), "timeseries_session01_run02.nii.gz" if what == "a run" else "done.jsonl"

    def full(fd, *how):
        if name in os.readlink(f"/proc/self/fd/{fd}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return kept(fd, *how)

    given = {"root": str(tmp_path / "got"), "sessions": [1, 21], **SMALL, "remote": remote(dataset, "some/where")}
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(OSError, match=rf"No space left on device: .*{name}"):
            program.work(program.parse(["--settings", json.dumps(given)]))
    call_fetch(dataset, **SMALL)
    assert (tmp_path / "got" / RUN.format(1, 2)).read_bytes() == (nsd / RUN.format(1, 2)).read_bytes()


def test_two_at_a_time(dataset, tmp_path, call_fetch):
    (tmp_path / "got").mkdir()
    lock = download.alone(str(tmp_path / "got"))
    call_fetch(dataset, fails="another fetch is at work there", **SMALL)
    os.close(lock)
    call_fetch(dataset, **SMALL)


def test_extras_that_are_not_there(dataset, call_fetch):
    call_fetch(dataset, fails="stimuli is no path, and layout: extras has images, experiment", **extras("stimuli"))
    call_fetch(dataset, fails="is not in the bucket; correct remote: extras", **extras("nsddata/x/{subject}.txt"))


def extras(*names):
    return {**SMALL, "remote": {"extras": list(names)}}


# The program


@pytest.fixture
def command(dataset, tmp_path):
    config = {"root": str(tmp_path / "got"), **SMALL, "remote": remote(dataset, "some/where")}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    return [sys.executable, str(ROOT / "rules"), "fetch"]


def test_the_program(dataset, command, tmp_path):
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout == "", done.stderr
    assert len(tree_files(tmp_path / "got")) == 7
    assert last_line(done.stderr).startswith("fetch: 7 files (")
    for options, code, words in (
        (["--config", "subjects=7"], 1, "no run of subject 7"),
        (["--config", "subjects"], 1, "is not KEY=VALUE"),
        (["--config", "remote={what: 1}"], 1, "what"),
        (["--configfile", "nothing.yaml"], 1, "nothing.yaml: cannot be read"),
        (["--stdout", "s3://a/b"], 2, "--stdout needs --settings"),
        (["--what"], 2, "usage"),
    ):
        done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == code and words in done.stderr, (options, done.stderr)
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("tail", "code", "said"),
    [
        ("--dry-run | true", 141, None),
        ("--dry-run 2>&1 | true", 141, None),
        ("--dry-run > /dev/full", 1, "fetch: standard output: No space left on device; mend it"),
        ("--dry-run >&-", 1, "fetch: standard output: Bad file descriptor; mend it"),
        ("<&- >&-", 0, "fetch: 7 files ("),
        ("<&- >&- 2>&-", 0, None),
    ],
)
def test_standard_streams_that_are_full_or_closed(dataset, nsd, command, tmp_path, tail, code, said):
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$@" {tail}', "bash", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    assert last_line(done.stderr).startswith(said) if said else "mend" not in done.stderr
    if "dry" not in tail:
        got = tree_files(tmp_path / "got")
        assert len(got) == 7 and all(data == (nsd / name).read_bytes() for name, data in got.items())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_download_is_gone_on_with(dataset, nsd, command, tmp_path, how):
    dataset.put(f"some/where/{RUN.format(1, 2)}", DATA)
    dataset.faults("run02.nii.gz", stall(120))
    command += ["--config", "remote={timeout: 100}"]
    with (tmp_path / "said").open("wb") as said:
        child = subprocess.Popen(command, cwd=tmp_path, stderr=said)
    until = time.monotonic() + 30 * PATIENCE
    while sum(path.stat().st_size for path in (tmp_path / "got").rglob("*run02.nii.gz*.part")) < len(DATA) // 3:
        assert time.monotonic() < until, (tmp_path / "said").read_text()
        time.sleep(0.05)
    child.send_signal(how)
    begun = time.monotonic()
    status = child.wait(30 * PATIENCE)
    assert time.monotonic() - begun < 15 * PATIENCE
    assert status == (-9 if how == signal.SIGKILL else 128 + how)
    left = parts(tmp_path / "got")
    assert any(name.startswith(".timeseries_session01_run02.nii.gz.") for name in left)
    dataset.plans.clear()
    dataset.log.clear()
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert not parts(tmp_path / "got")
    assert [request.start > 0 for request in dataset.gets("run02.nii.gz")] == [True]
    got = tree_files(tmp_path / "got")
    assert len(got) == 7 and got.pop(RUN.format(1, 2)) == DATA
    assert all(data == (nsd / name).read_bytes() for name, data in got.items())
    dataset.put(f"some/where/{RUN.format(1, 2)}", (nsd / RUN.format(1, 2)).read_bytes())
