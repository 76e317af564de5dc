"""Clusters with a command of their own for jobs: profiles/generic with a made-up queue, and what it takes for
the state of a job."""

import os
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
UNKNOWN = "#!/bin/sh\nexit 1\n"


@pytest.mark.parametrize(
    ("which", "tools", "answer"),
    [
        ("slurm", {"sacct": "#!/bin/sh\necho COMPLETED\n"}, "success"),
        ("slurm", {"sacct": "#!/bin/sh\necho 'CANCELLED by 1000'\n"}, "failed"),
        ("slurm", {"sacct": "#!/bin/sh\necho OUT_OF_MEMORY\n"}, "failed"),
        (
            "slurm",
            {"sacct": UNKNOWN, "scontrol": "#!/bin/sh\necho 'JobId=7 JobState=PENDING Reason=None'\n"},
            "running",
        ),
        ("slurm", {"sacct": UNKNOWN, "scontrol": UNKNOWN}, "failed"),
        ("pbs", {"qstat": PBS.format("Q", "")}, "running"),
        ("pbs", {"qstat": PBS.format("F", "0")}, "success"),
        ("pbs", {"qstat": PBS.format("F", "271")}, "failed"),
        ("pbs", {"qstat": TORQUE.format("C", "0")}, "success"),
        ("pbs", {"qstat": TORQUE.format("R", "")}, "running"),
        ("sge", {"qstat": "#!/bin/sh\n"}, "running"),
        ("sge", {"qstat": UNKNOWN, "qacct": QACCT.format(0, 0)}, "success"),
        ("sge", {"qstat": UNKNOWN, "qacct": QACCT.format(0, 137)}, "failed"),
        ("sge", {"qstat": UNKNOWN, "qacct": QACCT.format("100 : assumedly after job", 0)}, "failed"),
    ],
)
def test_what_became_of_a_job(tmp_path, which, tools, answer):
    """The answers of the schedulers are those that their manuals show; only Slurm has been asked itself."""
    commands(tmp_path / "tools", sleep="#!/bin/sh\n", **tools)
    env = ENV | {"PATH": f"{tmp_path}/tools{os.pathsep}{ENV['PATH']}"}
    assert subprocess.check_output([STATUS, which, "7"], env=env, text=True) == f"{answer}\n"


def test_a_scheduler_that_is_not_known():
    done = subprocess.run([STATUS, "lsf", "7"], env=ENV, text=True, capture_output=True, check=False)
    assert done.returncode == 1 and "lsf" in done.stderr
