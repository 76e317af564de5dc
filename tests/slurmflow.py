"""A workflow whose jobs go through a real Slurm."""

import re
from dataclasses import dataclass

from clusterflow import ClusterFlow


@dataclass
class SlurmFlow(ClusterFlow):
    profile: str = "slurm"

    # Jobs of the last call

    def name(self):
        """What Slurm knows them by."""
        return re.search(r"SLURM run ID: (\S+)", self.said()).group(1)

    def queue(self):
        """Those that have not ended: lists of number, state and comment."""
        return [line.split()[:3] for line in self.cluster.queue("%i %T %k %j") if line.endswith(self.name())]

    def running(self, session, mark="at_work"):
        """The number of the job that packs the session, once its program is at work."""
        if not self.path(f"{mark}_{session:02d}").exists():
            return None
        ours = (job for job, state, why in self.queue() if state == "RUNNING" and why.endswith(f"_{session:02d}"))
        return next(ours, None)

    def attempts(self):
        """Of each session's, in order: what became of them, their gigabytes and their minutes."""
        found = {}
        for job in self.cluster.jobs(name=self.name()):
            memory = float(job["ReqMem"][:-1]) / {"M": 1024, "G": 1}[job["ReqMem"][-1]]
            ended = job["State"].split()[0], round(memory, 1), int(job["TimelimitRaw"])
            found.setdefault(job["Comment"].rpartition("_")[2], []).append(ended)
        return found
