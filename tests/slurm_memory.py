"""What jobs take beside what they ask for: each rule on a session of NSD's size, through a real Slurm.

    .venv/bin/python tests/slurm_memory.py [--threads 4] [--dims 24,28,22] FOLDER

FOLDER keeps the synthetic session (1.2 GB) for the next time; all else goes there too. Memory is what sacct has as
MaxRSS of a job's script and of its step, added.
"""

import argparse
import logging
import shutil
import subprocess
import sys
import time
from pathlib import Path

from conftest import BIN
from slurmcluster import Cluster
from slurmflow import SlurmFlow

ROIS = {"general": "nsdgeneral", "brain": {"file": "brainmask"}}
COLUMNS = "JobID,Comment,ReqMem,TimelimitRaw,MaxRSS,ElapsedRaw"


def megabytes(text):
    """Of 1024 * 1024 bytes, as Slurm counts them."""
    return float(text[:-1]) * {"K": 1 / 1024, "M": 1, "G": 1024}[text[-1]] if text else 0


def jobs(cluster):
    """Of each job: what it was, megabytes asked for and taken, minutes asked for and seconds taken."""
    found = {}
    lines = cluster.call("sacct", "-a", "-n", "-P", f"--format={COLUMNS}").splitlines()
    for number, comment, memory, minutes, taken, seconds in (line.split("|") for line in lines):
        job, _, step = number.partition(".")
        if not step:
            found[job] = [comment, megabytes(memory), 0.0, int(minutes), int(seconds)]
        else:
            found[job][2] += megabytes(taken)
    return found


class Measure:
    def __init__(self, cluster, folder, root, threads):
        self.cluster, self.folder, self.root, self.seen = cluster, folder, root, set()
        self.threads = {"pack": threads, "arrays": threads}
        print(f"{'':34}  asked MB  taken MB  asked min  taken s", flush=True)

    def __call__(self, name, *targets, **config):
        """A call of Snakemake, and a line for each of its jobs."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        settings = {"root": str(self.root), "rois": ROIS, "threads": self.threads, **config}
        flow = SlurmFlow(folder, settings, cluster=self.cluster)
        flow(*targets, options=["-j1", "--retries", "0"])
        time.sleep(3)  # accounting
        for job, (what, *figures) in jobs(self.cluster).items():
            if job not in self.seen:
                self.seen.add(job)
                what = what.removeprefix("rule_").replace("_wildcards", "")
                print(
                    f"{name + ': ' + what:34}  {figures[0]:8.0f}  {figures[1]:8.0f}  {figures[2]:9}  {figures[3]:7}",
                    flush=True,
                )
        return flow


def streamed(measure, root):
    """From a bucket on this machine."""
    from s3server import serving

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with serving() as s3:
        s3.new_bucket("memory")
        s3.tree(root, "below/")
        remote = {"url": "s3://memory/below", "endpoint": s3.endpoint, "anonymous": True, "stream": True}
        got = {"root": str(measure.folder / "got"), "route": "direct", "remote": remote}
        measure("streamed", "fetch", **got)
        measure("streamed", **got)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--threads", type=int, default=4)
    args.add_argument("--dims", help="a smaller session, to try this out")
    args.add_argument("folder", type=Path)
    args = args.parse_args()
    root = args.folder / "nsd"
    if not root.exists():
        size = ["--dims", args.dims] if args.dims else []
        subprocess.run([BIN / "synthnsd", "--quiet", "--sessions", "1", *size, root], check=True)
    for name in ("packed", "direct", "streamed", "got"):
        shutil.rmtree(args.folder / name, ignore_errors=True)
    with Cluster(cpus=args.threads) as cluster:
        measure = Measure(cluster, args.folder.resolve(), root.resolve(), args.threads)
        measure("packed", targets=["clean", "arrays", "shuffle", "split"])
        measure("packed", "report")
        measure("direct", route="direct")
        measure("direct", "report", route="direct")
        streamed(measure, root)


if __name__ == "__main__":
    sys.exit(main())
