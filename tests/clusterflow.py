"""What the tests on a real scheduler share: a dataset, a workflow whose jobs go through it, bad programs."""

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field

import pytest
from conftest import BIN, PATIENCE, ROOT
from flow import ENV, Done, Flow
from localcluster import LocalCluster

# As the demo's subject, with one session more.
DEMO = ("--subjects", "1", "--sessions", "1-4", "--dims", "24,28,22", "--seed", "1")
GENERAL = "cache/subj01/general.fmri.npy"
# Of session 2 alone the first attempt has a minute, the least that Slurm knows.
MINUTES = ["--set-resources", "pack:runtime=attempt ** 4 if wildcards.session == '02' else 20 * attempt"]
IMPATIENT = str(ROOT / "tests/impatient")


@dataclass
class ClusterFlow(Flow):
    """A flow whose jobs go through a cluster, with one of the project's profiles."""

    cluster: LocalCluster = None
    profile: str = ""
    env: dict = field(init=False)

    def __post_init__(self):
        added = self.cluster.env.keys() - os.environ.keys()
        env = {name: value for name, value in self.cluster.env.items() if name in ENV or name in added}
        self.env = env | {"PYTHONPATH": os.pathsep.join([IMPATIENT, env["PYTHONPATH"]])}
        if not self.path("profiles").exists():
            self.path("profiles").symlink_to(ROOT / "profiles")

    def command(self, *targets, options=(), **config):
        profile = ["--workflow-profile", str(ROOT / "profiles" / self.profile), "-j20"]
        return super().command(*targets, options=[*profile, *options], **config)

    def start(self, *targets, **how):
        """A Snakemake in the background, in a session of its own; what it says is in the file `said`."""
        with self.path("said").open("wb") as said:
            return subprocess.Popen(
                self.command(*targets, **how), stdout=said, stderr=said, env=self.env, start_new_session=True
            )

    def ended(self, child, seconds=300):
        """The end of a Snakemake that `start` began."""
        try:
            return Done(child.wait(seconds * PATIENCE), self.said())
        except subprocess.TimeoutExpired:
            self.stop(child)
            raise AssertionError(f"no end in sight\n{self.said()}") from None

    def stop(self, child):
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGINT)
            child.wait(60 * PATIENCE)

    def any(self, *targets, **how):
        return self.ended(self.start(*targets, **how))

    def said(self):
        return self.path("said").read_text(errors="replace")

    def wait(self, ready, what, seconds=120):
        end = time.monotonic() + seconds * PATIENCE
        while not (found := ready()):
            assert time.monotonic() < end, f"{what}\n{self.said()[-4000:]}\n{self.cluster.queue()}"
            time.sleep(0.2)
        return found

    # What may be left

    def temporaries(self):
        return sorted(path.name for path in self.path("cache").rglob(".*.tmp"))

    def programs_at_work(self):
        """Command lines of our programs that run for this flow."""
        lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
        return [line for line in lines if str(self.folder) in line and "nifti2h5" in line]


@pytest.fixture(scope="module")
def demo(run, tmp_path_factory):
    root = tmp_path_factory.mktemp("demo") / "nsd"
    run("synthnsd", "--quiet", *DEMO, root)
    return root


@pytest.fixture(scope="module")
def local(demo, tmp_path_factory):
    """The same made without a cluster."""
    flow = Flow(tmp_path_factory.mktemp("local"), {"root": str(demo)})
    flow(GENERAL)
    return flow


def results(flow):
    found = [path for path in flow.path("cache/subj01").iterdir() if path.suffix in (".h5", ".npy", ".json")]
    return {path.name: path.read_bytes() for path in found}


# A program that waits before it synchronises what it has written, while there is a file.
HANG = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int fsync(int fd) {
    if (access(WHILE, F_OK) == 0) (void)close(open(getenv("HANG"), O_WRONLY | O_CREAT, 0666));
    while (access(WHILE, F_OK) == 0) (void)usleep(50000);
    return (int)syscall(SYS_fsync, fd);
}
"""


def misbehaving(folder, mischief):
    """Programs whose nifti2h5 does `mischief[session]` (shell) first, and writes a file at_work_SESSION.
    `once COMMAND...` does it the first time only. `hang "$@"` waits, while there is a file `hang`, when all is
    written and has no name yet; it then writes a file hanging_SESSION."""
    how = ["cc", "-shared", "-fPIC", f'-DWHILE="{folder}/hang"', "-o", folder / "hang.so", "-xc", "-"]
    subprocess.run(how, input=HANG.encode(), check=True)
    programs = folder / "programs"
    shutil.copytree(BIN, programs, symlinks=True)
    (programs / "nifti2h5").rename(programs / "nifti2h5.real")
    cases = "".join(f"*session_{session:02d}.h5) {what} ;;\n" for session, what in mischief.items())
    (programs / "nifti2h5").write_text(f"""#!/bin/sh
once() {{ mkdir {folder}/once_$name 2>/dev/null || return 0; "$@"; }}
hang() {{ LD_PRELOAD={folder}/hang.so HANG={folder}/hanging_${{name#session_}} exec {programs}/nifti2h5.real "$@"; }}
for last; do :; done
name=$(basename "$last" .h5)
echo ${{JOB_ID:-0}} > {folder}/at_work_${{name#session_}}
case $last in
{cases}esac
exec {programs}/nifti2h5.real "$@"
""")
    (programs / "nifti2h5").chmod(0o755)
    return programs
