"""Clusters with a command of their own for jobs: profiles/generic with a made-up queue, and what it takes for
the state of a job."""

import os
import signal
import subprocess

import pytest
from conftest import ROOT
from flow import ENV, Flow

pytest.importorskip("snakemake_executor_plugin_cluster_generic", reason="Snakemake's plugin is not installed")
STATUS = ROOT / "profiles/generic/status"
GENERAL = "cache/subj01/general.fmri.npy"

# A queue: jobs are processes, and what became of them stands in a file. Every first job of session 2 is lost.
QUEUE = """#!/bin/sh
queue={folder}/queue; mkdir -p $queue
case $(basename "$0") in
  submit)
    echo "$@" >> $queue/asked
    for script; do :; done
    id=$(wc -l < $queue/asked)
    if grep -q session=02 "$script" && mkdir $queue/lost 2>/dev/null; then echo 1 > $queue/$id
    else (setsid sh "$script" > $queue/$id.log 2>&1; echo $? > $queue/$id) > /dev/null & fi
    echo $id ;;
  status) case $(cat $queue/$1 2>/dev/null) in 0) echo success ;; "") echo running ;; *) echo failed ;; esac ;;
esac
"""


def commands(folder, **texts):
    """Programs of these names in a folder."""
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def test_jobs_through_a_command_of_ones_own(run, tmp_path):
    run("synthnsd", "--quiet", "--sessions", "1-2", "--dims", "12,13,11", "--runs", "2", tmp_path / "nsd")
    queue = QUEUE.format(folder=tmp_path)
    tools = commands(tmp_path / "tools", submit=queue, status=queue)
    flow = Flow(tmp_path, {"root": str(tmp_path / "nsd")})
    flow(GENERAL)
    expected = flow.bytes(GENERAL)
    (tmp_path / "cache").rename(tmp_path / "made here")
    profile = ["--workflow-profile", str(ROOT / "profiles/generic"), "-j9", "--seconds-between-status-checks", "1"]
    submit = f"{tools}/submit {{rule}} {{threads}} {{resources.mem_mb}} {{resources.runtime}}"
    how = ["--cluster-generic-submit-cmd", submit, "--cluster-generic-status-cmd", f"{tools}/status"]
    flow(GENERAL, options=profile + how)
    assert flow.bytes(GENERAL) == expected
    asked = [line.split()[:4] for line in (tmp_path / "queue/asked").read_text().splitlines()]
    assert sorted(asked) == [
        ["arrays", "4", "1280", "10"],
        ["pack", "4", "1024", "10"],
        ["pack", "4", "1024", "10"],
        ["pack", "4", "2048", "20"],
    ]


QACCT = "#!/bin/sh\necho =====; echo 'jobnumber    7'; echo 'failed       {}    '; echo 'exit_status  {}'\n"
PBS = "#!/bin/sh\n[ $3 = 7 ] && printf 'Job Id: 7.host\\n    job_state = {}\\n    Exit_status = {}\\n'\n"
TORQUE = "#!/bin/sh\n[ $1 = -x ] && exit 2\nprintf 'Job Id: 7\\n    job_state = {}\\n    exit_status = {}\\n'\n"
SGE_GONE = "#!/bin/sh\necho 'Following jobs do not exist: '; echo 7; exit 1\n"
SLURM_GONE = "#!/bin/sh\necho 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1\n"
PBS_GONE = "#!/bin/sh\necho 'qstat: Unknown Job Id 7.host' >&2; exit 153\n"
PBS_OVER = "#!/bin/sh\necho 'qstat: 7.host Job has finished, use -x' >&2; exit 35\n"
AWAY = "#!/bin/sh\necho 'cannot reach the server' >&2; exit 1\n"
PENDING = "#!/bin/sh\necho 'JobId=7 JobState=PENDING Reason=None'\n"
STUCK = "#!/bin/sh\necho 'error reason          1: can not make directory'\n"
RESCHEDULED = QACCT.format("25 : rescheduling", 0) + QACCT.format(0, 0).removeprefix("#!/bin/sh\n")


def became(tmp_path, which, tools):
    tools = {
        "sacct": AWAY,
        "scontrol": AWAY,
        "qstat": AWAY,
        "qacct": AWAY,
        "qdel": "#!/bin/sh\necho $1 > deleted\n",
    } | tools
    commands(tmp_path / "tools", **tools)
    (tmp_path / "logs/jobs").mkdir(parents=True, exist_ok=True)
    env = ENV | {"PATH": f"{tmp_path}/tools{os.pathsep}{ENV['PATH']}"}
    return subprocess.check_output([STATUS, which, "7"], env=env, cwd=tmp_path, text=True).strip()


@pytest.mark.parametrize(
    ("which", "tools", "answer"),
    [
        ("slurm", {"sacct": "#!/bin/sh\necho COMPLETED\n"}, "success"),
        ("slurm", {"sacct": "#!/bin/sh\necho 'CANCELLED by 1000'\n"}, "failed"),
        ("slurm", {"sacct": "#!/bin/sh\necho OUT_OF_MEMORY\n"}, "failed"),
        ("slurm", {"scontrol": PENDING}, "running"),
        ("slurm", {}, "running"),
        ("pbs", {"qstat": PBS.format("Q", "")}, "running"),
        ("pbs", {"qstat": PBS.format("F", "0")}, "success"),
        ("pbs", {"qstat": PBS.format("F", "271")}, "failed"),
        ("pbs", {"qstat": TORQUE.format("C", "0")}, "success"),
        ("pbs", {"qstat": TORQUE.format("R", "")}, "running"),
        ("pbs", {}, "running"),
        ("sge", {"qstat": "#!/bin/sh\n"}, "running"),
        ("sge", {"qstat": SGE_GONE, "qacct": QACCT.format(0, 0)}, "success"),
        ("sge", {"qstat": SGE_GONE, "qacct": QACCT.format(0, 137)}, "failed"),
        ("sge", {"qstat": SGE_GONE, "qacct": QACCT.format("100 : assumedly after job", 0)}, "failed"),
        ("sge", {"qstat": SGE_GONE, "qacct": RESCHEDULED}, "success"),
        ("sge", {}, "running"),
    ],
)
def test_what_became_of_a_job(tmp_path, which, tools, answer):
    """The answers of PBS are those that its manual shows; Slurm and Grid Engine have been asked themselves
    (slurm_long.py, sge_long.py). Where a scheduler is away, the job counts as running."""
    assert became(tmp_path, which, tools) == answer
    assert not (tmp_path / "deleted").exists() and not list((tmp_path / "logs/jobs").iterdir())


def test_a_job_in_error_is_deleted(tmp_path):
    assert became(tmp_path, "sge", {"qstat": STUCK}) == "failed"
    assert (tmp_path / "deleted").read_text() == "7\n"


@pytest.mark.parametrize(
    ("which", "tools"),
    [
        ("slurm", {"scontrol": SLURM_GONE}),
        ("pbs", {"qstat": PBS_GONE}),
        ("pbs", {"qstat": PBS_OVER}),
        ("sge", {"qstat": SGE_GONE}),
        ("sge", {}),
    ],
)
def test_a_job_that_is_forgotten(tmp_path, which, tools):
    """Its note counts; without one it has failed, after a while, unless the scheduler does not answer at all."""
    assert became(tmp_path, which, tools) == "running"
    missed = tmp_path / "logs/jobs/7.missed"
    assert missed.exists() == bool(tools)
    for seconds, answer in ((50, "running"), (20, "failed")) if tools else ():
        missed.write_text(str(int(missed.read_text()) - seconds))
        assert became(tmp_path, which, tools) == answer
    for status, answer in ((0, "success"), (1, "failed"), (140, "failed")):
        (tmp_path / "logs/jobs/7.exit").write_text(f"{status}\n")
        assert became(tmp_path, which, tools) == answer


@pytest.mark.parametrize(
    ("id", "end", "note"),
    [
        ("SLURM_JOB_ID", "true", "0"),
        ("PBS_JOBID", "exit 3", "3"),
        ("JOB_ID", "kill -USR2 $$; exit 1", "1"),
        ("JOB_ID", "kill -KILL $$", None),
    ],
)
def test_the_note_of_a_script(tmp_path, id, end, note):
    (tmp_path / "logs/jobs").mkdir(parents=True)
    text = (ROOT / "profiles/generic/jobscript.sh").read_text()
    (tmp_path / "job").write_text(text.format(properties="{}", exec_job=end))
    done = subprocess.run(["sh", "job"], env=ENV | {id: "7.host"}, cwd=tmp_path, check=False)
    assert done.returncode == (int(note) if note else -signal.SIGKILL)
    notes = {path.name: path.read_text() for path in (tmp_path / "logs/jobs").iterdir()}
    assert notes == ({"7.host.exit": f"{note}\n"} if note else {})


def test_a_scheduler_that_is_not_known():
    done = subprocess.run([STATUS, "lsf", "7"], env=ENV, text=True, capture_output=True, check=False)
    assert done.returncode == 1 and "lsf" in done.stderr
    nothing = {"PATH": "/nowhere"}
    done = subprocess.run(["/bin/sh", STATUS, "pbs", "7"], env=nothing, text=True, capture_output=True, check=False)
    assert done.returncode == 1 and "there is no qstat" in done.stderr
