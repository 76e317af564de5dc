"""Kills the workflow at random moments, over and over, until the arrays are there: `make kills`.

One cycle begins with an empty cache: the workflow is started, all its processes are killed (SIGKILL) after a
random time, and it is started again, until it ends by itself. Most of that time is Snakemake's, so three of
four kills are aimed: they come up to 0.5 s after one of our programs has begun. After one kill of three, Snakemake's
own notes (.snakemake) are lost too: then only what stands at its final name tells what was done. In the end every
artifact must be that of a run that nobody disturbed, the report be whole, and boldinfo --verify find nothing. Cycles
go on until there were --kills kills.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import snakemake.api
import snakemake.cli
import snakemake.executors.local
import snakemake.workflow  # noqa: F401 - loaded once, for all runs

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {path.name for path in (ROOT / "bin").iterdir()}


def at_work(pid):
    """Is one of our programs running below this process?"""
    try:
        if Path(f"/proc/{pid}/comm").read_text().strip() in PROGRAMS:
            return True
        tasks = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:  # it has ended
        return False
    return any(at_work(child) for children in tasks for child in children)


class Child:
    """A run of Snakemake in a session of its own, forked from this process, which has loaded Snakemake already:
    loading takes longer than all the rest."""

    def __init__(self, arguments, folder, log):
        self.status, self.pid = None, os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.setsid()
                os.chdir(folder)
                for fd, path in ((0, "/dev/null"), (1, log), (2, log)):
                    os.dup2(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT), fd)
                snakemake.cli.main(arguments)
                status = 0
            except SystemExit as end:
                status = int(end.code or 0)
            finally:
                os._exit(status)

    def poll(self, options=os.WNOHANG):
        if self.status is None:
            pid, status = os.waitpid(self.pid, options)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status

    def wait(self):
        return self.poll(0)


class Kills:
    def __init__(self, folder, cores):
        self.folder, self.cores, self.cache = folder, cores, folder / "cache"
        program = str(ROOT / "bin/synthnsd")
        size = ["--dims", "28,30,24", "--sessions", "1-2", "--runs", "3", "--volumes", "60"]
        subprocess.run([program, "--quiet", *size, str(folder / "nsd")], check=True)

    def start(self):
        config = [f"root={self.folder / 'nsd'}", f"cache={self.cache}", "targets=[arrays,shuffle,clean]"]
        arguments = [
            "all",
            "report",
            "-s",
            ROOT / "Snakefile",
            f"-j{self.cores}",
            "--quiet",
            "all",
            "--rerun-incomplete",
        ]
        arguments += ["--nolock", "--config", *config]
        return Child(list(map(str, arguments)), self.folder, self.folder / "log")

    def sums(self):
        """Of the artifacts. Reports list what was there when the call began: they must be whole."""
        found = [path for path in self.cache.rglob("*") if path.suffix in (".npy", ".json", ".h5")]
        pages = [path.read_text().endswith("</html>\n") for path in self.cache.rglob("report.html")]
        if pages != [True]:
            for log in sorted((self.folder / ".snakemake/log").glob("*.log"))[-2:]:
                print(log.read_text())
            return {"the report is not whole": pages}
        described = [path for path in found if path.suffix in (".json", ".h5")]
        verify = [ROOT / "bin/boldinfo", "--verify", *described]
        if status := subprocess.run(verify, check=False, stdout=subprocess.DEVNULL).returncode:
            return {"boldinfo --verify": status}
        kept = [path for path in found if path.name != "summary.json"]  # it tells of the last call and its time
        return {str(path.relative_to(self.cache)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}

    def undisturbed(self):
        begun = time.monotonic()
        if self.start().wait() != 0:
            raise SystemExit("the undisturbed run fails:\n" + (self.folder / "log").read_text())
        return self.sums(), time.monotonic() - begun

    def aim(self, child, seconds, chance):
        """Waits for the moment of the kill, or for the end."""
        end = time.monotonic() + chance.uniform(0.2, 1) * seconds
        if chance.random() < 3 / 4:
            while child.poll() is None and not at_work(child.pid):
                time.sleep(0.01)
            end = time.monotonic() + chance.uniform(0, 0.5)
        while child.poll() is None and time.monotonic() < end:
            time.sleep(0.002)

    def cycle(self, seconds, chance, most):
        """Kills until the end, `most` times at most; how many it took, and the sums."""
        kills = 0
        shutil.rmtree(self.cache, ignore_errors=True)
        shutil.rmtree(self.folder / ".snakemake", ignore_errors=True)
        while True:
            child = self.start()
            if kills < most:
                self.aim(child, seconds, chance)
            status = child.poll() if kills < most else child.wait()
            if status is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                kills += 1
                if chance.random() < 1 / 3:
                    shutil.rmtree(self.folder / ".snakemake", ignore_errors=True)
                continue
            if status != 0:
                print((self.folder / "log").read_text()[-3000:])
                return kills, {"the workflow does not go on": status}
            return kills, self.sums()


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--kills", type=int, default=10)
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--cores", type=int, default=os.cpu_count())
    args = args.parse_args()
    chance, kills, cycles, wrong = random.Random(args.seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        campaign = Kills(Path(folder), args.cores)
        good, seconds = campaign.undisturbed()
        print(f"undisturbed: {len(good)} artifacts in {seconds:.1f} s", flush=True)
        while kills < args.kills:
            more, sums = campaign.cycle(seconds, chance, min(12, args.kills - kills))
            kills, cycles = kills + more, cycles + 1
            differ = sorted(name for name in good.keys() | sums.keys() if good.get(name) != sums.get(name))
            wrong += bool(differ)
            print(f"cycle {cycles}: {more} kills, {len(differ)} artifacts differ {differ[:3]}", flush=True)
    print(f"{kills} kills in {cycles} cycles")
    print(f"{cycles - wrong} passed, {wrong} failed")
    return int(wrong > 0 or cycles == 0)


if __name__ == "__main__":
    sys.exit(main())
