"""A real Slurm on this machine, for tests: munge, slurmctld, two slurmd and accounting.

    .venv/bin/python tests/slurmcluster.py sinfo            runs a command in the cluster, and stops the cluster
    .venv/bin/python tests/slurmcluster.py                  the same with a shell

`make deps-slurm` installs what it needs from Debian: Slurm and munge, for accounting slurmdbd and MariaDB. Neither
systemd nor cgroups are needed, nor anything of the system's own configuration. All state is in one folder, all ports
are free ones. The nodes n1 and n2 are this machine twice, and claim more processors and memory than it may have.
`stop` ends the jobs, the daemons and whatever else was started below them.
"""

import argparse
import os
import socket
import sys
import time

from localcluster import PATH, LocalCluster, Unavailable, command, free_ports, lacking

CLIENTS = ("sbatch", "scancel", "squeue", "sinfo", "scontrol")
NEEDED = ("munged", "slurmctld", "slurmd", "srun", *CLIENTS)
ACCOUNTING = ("slurmdbd", "mariadbd", "mariadb-install-db", "mariadb", "sacct", "sacctmgr")

CONTROLLER = """\
ClusterName=mill
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
# no cgroups
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# memory is watched every second, and a job that has more than it asked for is killed
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
KillWait=10
MinJobAge=600
ReturnToService=2
SlurmdTimeout=600
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=5,requeue_delay=0
AccountingStorageType=accounting_storage/{storage}
AccountingStoreFlags=job_comment
{more}
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={n1} CPUs={cpus} RealMemory={memory} State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={n2} CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

ACCOUNTED = """\
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd}
AccountingStoragePass={folder}/munge.sock
"""

DATABASE = """\
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={dbd}
SlurmUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql}
StorageUser=mill
StoragePass=mill
StorageLoc=mill
"""


class Cluster(LocalCluster):
    def __init__(self, accounting=True, cpus=8, memory=16000):
        if missing := lacking(NEEDED + (ACCOUNTING if accounting else ())):
            raise Unavailable(f"no Slurm here: {', '.join(missing)} not found; make deps-slurm installs it")
        super().__init__()
        self.accounting = accounting
        names = ("ctld", "n1", "n2", "dbd", "sql")
        self.words = dict(zip(names, free_ports(len(names)), strict=True)) | {
            "host": socket.gethostname().split(".")[0],
            "user": self.user,
            "folder": self.folder,
            "storage": "slurmdbd" if self.accounting else "none",
            "cpus": cpus,
            "memory": memory,
        }
        self.env |= {"PATH": f"{self.folder}/bin{os.pathsep}{PATH}", "SLURM_CONF": f"{self.folder}/slurm.conf"}
        self.mark = f"SLURM_CONF={self.folder}/slurm.conf"

    # Starting

    def begin(self):
        self.configure()
        self.munge()
        if self.accounting:
            self.database()
        self.daemon("slurmctld", "-D")
        self.daemon("slurmd", "-D", "-N", "n1")
        self.daemon("slurmd", "-D", "-N", "n2")
        self.until(self.idle, "nodes do not come up")

    def configure(self):
        more = ACCOUNTED.format(**self.words) if self.accounting else ""
        for name, text, mode in (("slurm.conf", CONTROLLER, 0o644), ("slurmdbd.conf", DATABASE, 0o600)):
            path = self.folder / name
            path.write_text(text.format(**self.words, more=more))
            path.chmod(mode)
        for name in ("state", "spool-n1", "spool-n2", "bin", "run"):
            (self.folder / name).mkdir()
        # Snakemake's plugin takes SLURM_CONF away from what jobs call, as on a cluster that has its file in /etc.
        for name in ("srun", *CLIENTS):
            path = self.folder / "bin" / name
            path.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {self.find(name)} "$@"\n')
            path.chmod(0o755)

    def munge(self):
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        files = {"key-file": key, "socket": self.folder / "munge.sock", "pid-file": self.folder / "run/munged.pid"}
        files |= {"log-file": self.folder / "munged.log", "seed-file": self.folder / "munged.seed"}
        options = [f"--{name}={path}" for name, path in files.items()]
        self.daemon("munged", "--foreground", "--force", "--num-threads=4", *options)
        self.until(files["socket"].exists, "munged does not start")

    def database(self):
        data, sock = self.folder / "sql", self.folder / "sql.sock"
        make = ["--no-defaults", f"--datadir={data}", f"--user={self.user}", "--skip-test-db"]
        self.call("mariadb-install-db", *make, "--auth-root-authentication-method=normal", "--skip-name-resolve")
        small = ["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M", "--innodb-flush-log-at-trx-commit=0"]
        where = [f"--datadir={data}", f"--socket={sock}", f"--port={self.words['sql']}", "--bind-address=127.0.0.1"]
        where += [f"--pid-file={self.folder}/run/sql.pid", f"--user={self.user}", "--skip-name-resolve"]
        self.daemon("mariadbd", "--no-defaults", *where, *small, "--innodb-lock-wait-timeout=900")
        ask = ["--no-defaults", f"--socket={sock}", "-u", "root", "-e"]
        self.until(lambda: self.says("mariadb", *ask, "select 1") is not None, "MariaDB does not start")
        self.call(
            "mariadb",
            *ask,
            "create user mill@'127.0.0.1' identified by 'mill'; grant all on mill.* to mill@'127.0.0.1'",
        )
        self.daemon("slurmdbd", "-D")
        self.until(lambda: self.says("sacctmgr", "-n", "list", "cluster") is not None, "slurmdbd does not start")
        self.call("sacctmgr", "-i", "add", "cluster", "mill")

    def idle(self):
        return (self.says("sinfo", "-h", "-N", "-o", "%t") or "").split() == ["idle", "idle"]

    # Calls

    def queue(self, columns="%i %T"):
        """Jobs that have not ended."""
        return self.call("squeue", "-h", "-r", "-o", columns).splitlines()

    def jobs(self, columns="JobID,State,ReqMem,TimelimitRaw,Comment", **options):
        """What accounting knows of all jobs, once it knows of their ends: a list of dicts."""
        self.until(self.accounted, "accounting lags behind")
        given = [f"--{name}={value}" for name, value in options.items()]
        lines = self.call("sacct", "-a", "-X", "-D", "-n", "-P", f"--format={columns}", *given).splitlines()
        return [dict(zip(columns.split(","), line.split("|"), strict=True)) for line in lines]

    def accounted(self):
        running = self.call("sacct", "-a", "-X", "-n", "-P", "-o", "JobIDRaw", "-s", "RUNNING,PENDING").split()
        return set(running) <= set(self.call("squeue", "-h", "-r", "-o", "%A").split())

    # Stopping

    def cancel(self):
        if any(name == "slurmctld" and child.poll() is None for name, child in self.children):
            self.says("scancel", "-u", self.user)
            end = time.monotonic() + 30
            while self.says("squeue", "-h") and time.monotonic() < end:
                time.sleep(0.2)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--no-accounting", action="store_true", help="without slurmdbd and MariaDB")
    args.add_argument("command", nargs=argparse.REMAINDER)
    args = args.parse_args()
    return command(lambda: Cluster(accounting=not args.no_accounting), args.command)


if __name__ == "__main__":
    sys.exit(main())
