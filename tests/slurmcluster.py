"""A real Slurm on this machine, for tests: munge, slurmctld, two slurmd and, where it can be had, accounting.

    .venv/bin/python tests/slurmcluster.py sinfo            runs a command in the cluster, and stops the cluster
    .venv/bin/python tests/slurmcluster.py                  the same with a shell

`make deps-slurm` installs what it needs from Debian: Slurm and munge, for accounting slurmdbd and MariaDB. Neither
systemd nor cgroups are needed, nor anything of the system's own configuration. All state is in one folder, all ports
are free ones. The nodes n1 and n2 are this machine twice, and claim more processors and memory than it may have.
`stop` ends the jobs, the daemons and whatever else was started below them.
"""

import argparse
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "squeue", "sinfo", "scontrol")
ACCOUNTING = ("slurmdbd", "mariadbd", "mariadb-install-db", "mariadb", "sacct", "sacctmgr")
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

# A daemon ends with the process that started it, even if that is killed.
ORPHAN = ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()

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


class Unavailable(Exception):
    """Why there is no Slurm here."""


def find(name):
    return shutil.which(name, path=PATH)


def lacking(names=NEEDED):
    return [name for name in names if not find(name)]


def free_ports(count):
    """Ports that nobody listens at now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Cluster:
    def __init__(self, accounting=True, cpus=8, memory=16000):
        if missing := lacking():
            raise Unavailable(f"no Slurm here: {', '.join(missing)} not found; make deps-slurm installs it")
        self.accounting = accounting and not lacking(ACCOUNTING)
        self.folder = Path(tempfile.mkdtemp(prefix="mill-", dir="/tmp"))  # short: names of sockets have 107 bytes
        self.children = []
        names = ("ctld", "n1", "n2", "dbd", "sql")
        self.words = dict(zip(names, free_ports(len(names)), strict=True)) | {
            "host": socket.gethostname().split(".")[0],
            "user": getpass.getuser(),
            "folder": self.folder,
            "storage": "slurmdbd" if self.accounting else "none",
            "cpus": cpus,
            "memory": memory,
        }
        self.env = os.environ | {
            "PATH": f"{self.folder}/bin{os.pathsep}{PATH}",
            "SLURM_CONF": f"{self.folder}/slurm.conf",
        }

    # Starting

    def start(self):
        try:
            self.configure()
            self.munge()
            if self.accounting:
                self.database()
            self.daemon("slurmctld", "-D")
            self.daemon("slurmd", "-D", "-N", "n1")
            self.daemon("slurmd", "-D", "-N", "n2")
            self.until(self.idle, "nodes do not come up", 60)
        except BaseException:
            self.stop()
            raise
        return self

    def configure(self):
        self.folder.chmod(0o755)
        more = ACCOUNTED.format(**self.words) if self.accounting else ""
        for name, text, mode in (("slurm.conf", CONTROLLER, 0o644), ("slurmdbd.conf", DATABASE, 0o600)):
            path = self.folder / name
            path.write_text(text.format(**self.words, more=more))
            path.chmod(mode)
        for name in ("state", "spool-n1", "spool-n2", "bin", "run"):
            (self.folder / name).mkdir()
        # Jobs of Snakemake's plugin call srun without SLURM_CONF, as on a cluster that has its file in /etc.
        srun = self.folder / "bin/srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {find("srun")} "$@"\n')
        srun.chmod(0o755)

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
        make = ["--no-defaults", f"--datadir={data}", f"--user={self.words['user']}", "--skip-test-db"]
        self.call("mariadb-install-db", *make, "--auth-root-authentication-method=normal", "--skip-name-resolve")
        small = ["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M", "--innodb-flush-log-at-trx-commit=0"]
        where = [f"--datadir={data}", f"--socket={sock}", f"--port={self.words['sql']}", "--bind-address=127.0.0.1"]
        where += [f"--pid-file={self.folder}/run/sql.pid", f"--user={self.words['user']}", "--skip-name-resolve"]
        self.daemon("mariadbd", "--no-defaults", *where, *small, "--innodb-lock-wait-timeout=900")
        ask = ["--no-defaults", f"--socket={sock}", "-u", "root", "-e"]
        self.until(lambda: self.says("mariadb", *ask, "select 1") is not None, "MariaDB does not start", 60)
        self.call(
            "mariadb",
            *ask,
            "create user mill@'127.0.0.1' identified by 'mill'; grant all on mill.* to mill@'127.0.0.1'",
        )
        self.daemon("slurmdbd", "-D")
        self.until(lambda: self.says("sacctmgr", "-n", "list", "cluster") is not None, "slurmdbd does not start", 60)
        self.call("sacctmgr", "-i", "add", "cluster", "mill")

    def daemon(self, name, *options):
        with open(self.folder / f"run/{name}{len(self.children)}.said", "wb") as log:
            how = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "start_new_session": True}
            child = subprocess.Popen([*ORPHAN, find(name), *options], env=self.env, cwd=self.folder, **how)
        self.children.append((name, child))

    def until(self, ready, otherwise, seconds=30):
        end = time.monotonic() + seconds
        while not ready():
            dead = [name for name, child in self.children if child.poll() is not None]
            if dead or time.monotonic() > end:
                raise Unavailable(
                    f"{', '.join(dead)} ended\n{self.logs()}" if dead else f"{otherwise}\n{self.logs()}"
                )
            time.sleep(0.1)

    def logs(self, lines=15):
        files = sorted([*self.folder.glob("*.log"), *self.folder.glob("run/*.said")])
        return "\n".join(
            f"{path.name}:\n" + "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) for path in files
        )

    def idle(self):
        return (self.says("sinfo", "-h", "-N", "-o", "%t") or "").split() == ["idle", "idle"]

    # Calls

    def call(self, name, *options):
        """What the command prints; it must succeed."""
        done = subprocess.run(
            [find(name), *map(str, options)],
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Unavailable(f"{name} {' '.join(map(str, options))}: {done.stderr or done.stdout}")
        return done.stdout

    def says(self, *command):
        """What the command prints, or None where it fails."""
        try:
            return self.call(*command)
        except Unavailable:
            return None

    def queue(self, columns="%i %T"):
        """Jobs that have not ended."""
        return self.call("squeue", "-h", "-r", "-o", columns).splitlines()

    def jobs(self, columns="JobID,State,ReqMem,TimelimitRaw,Comment", **options):
        """What accounting knows of all jobs: a list of dicts."""
        given = [f"--{name}={value}" for name, value in options.items()]
        lines = self.call("sacct", "-a", "-X", "-D", "-n", "-P", f"--format={columns}", *given).splitlines()
        return [dict(zip(columns.split(","), line.split("|"), strict=True)) for line in lines]

    # Stopping

    def stop(self):
        if any(name == "slurmctld" and child.poll() is None for name, child in self.children):
            self.says("scancel", "-u", self.words["user"])
            end = time.monotonic() + 30
            while self.says("squeue", "-h") and time.monotonic() < end:
                time.sleep(0.2)
        for _, child in reversed(self.children):
            child.terminate()
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for process in self.strays():
            os.kill(process, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def strays(self):
        """Processes that were started in this cluster and are still there."""
        mark, found = f"SLURM_CONF={self.folder}/slurm.conf".encode(), []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in path.read_bytes().split(b"\0") and int(path.parent.name) != os.getpid():
                    found.append(int(path.parent.name))
            except OSError:  # ended, or not ours
                continue
        return found

    def __enter__(self):
        return self.start()

    def __exit__(self, *what):
        self.stop()


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--no-accounting", action="store_true", help="without slurmdbd, even where it is there")
    args.add_argument("command", nargs=argparse.REMAINDER)
    args = args.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with Cluster(accounting=not args.no_accounting) as cluster:
            return subprocess.run(args.command or [os.environ.get("SHELL", "sh")], env=cluster.env).returncode
    except Unavailable as why:
        sys.exit(f"cluster: {why}")


if __name__ == "__main__":
    sys.exit(main())
