"""A real Grid Engine on this machine, for tests: a qmaster and an execution daemon.

    .venv/bin/python tests/sgecluster.py qhost              runs a command in the cluster, and stops the cluster
    .venv/bin/python tests/sgecluster.py                    the same with a shell

`make deps-sge` unpacks Debian's packages into build/gridengine and installs nothing, so that no daemon starts by
itself. All state is in one folder, all ports are free ones. There is one execution host, this machine, with one
queue (main.q) and one parallel environment (smp). Memory is a resource that runs out (h_vmem is consumable).
"""

import argparse
import os
import re
import shutil
import socket
import sys
import time
from pathlib import Path

from localcluster import LocalCluster, Unavailable, command, free_ports

TREE = Path(__file__).resolve().parent.parent / "build/gridengine/usr"
LIBRARIES = TREE / "lib/gridengine"
# Debian's programs look for their library of spooling there, which root alone could make.
FIXED = b"/usr/lib/gridengine/%s%s\0"
LOOSE = b"%s%s".ljust(len(FIXED), b"\0")

BOOTSTRAP = """\
admin_user none
default_domain none
ignore_fqdn true
spooling_method classic
spooling_lib {libraries}/libspoolc
spooling_params {spooling}
binary_path {folder}/bin
qmaster_spool_dir {folder}/spool/qmaster
security_mode none
listener_threads 2
worker_threads 2
scheduler_threads 1
jvm_threads 0
"""
# How the defaults are changed: any user may have jobs, and nothing waits longer than it must.
GLOBAL = {
    "execd_spool_dir": "{folder}/spool/execd",
    "mailer": "/bin/true",
    "min_uid": "0",
    "min_gid": "0",
    "load_report_time": "0:0:2",
    "reporting_params": "accounting=true reporting=false flush_time=0:0:1 joblog=false sharelog=0:0:0",
}
SCHEDULER = {
    "schedule_interval": "0:0:1",
    "flush_submit_sec": "1",
    "flush_finish_sec": "1",
    "job_load_adjustments": "NONE",
    "weight_waiting_time": "0",
}
QUEUE = {"qname": "main.q", "hostlist": "{host}", "load_thresholds": "NONE", "slots": "{slots}", "pe_list": "smp"}


def changed(text, settings):
    """Lines of `NAME VALUE` with other values."""
    for name, value in settings.items():
        text, count = re.subn(rf"(?m)^{name}\b.*$", f"{name} {value}", text)
        assert count == 1, f"{name} is not in:\n{text}"
    return text


class Cluster(LocalCluster):
    def __init__(self, slots=16, memory="16G"):
        if not (LIBRARIES / "sge_qmaster").exists():
            raise Unavailable("no Grid Engine here; make deps-sge unpacks it")
        super().__init__()
        master, execd = free_ports(2)
        host = socket.gethostname().split(".")[0]
        self.words = {
            "folder": self.folder,
            "libraries": self.folder / "lib",
            "host": host,
            "slots": slots,
            "memory": memory,
        }
        self.words["spooling"] = f"{self.folder}/default/common;{self.folder}/spool/qmaster"
        found = sorted({str(path.parent) for path in TREE.parent.rglob("*.so*")})
        self.env |= {
            "SGE_ROOT": str(self.folder),
            "SGE_CELL": "default",
            "SGE_QMASTER_PORT": str(master),
            "SGE_EXECD_PORT": str(execd),
            "LD_LIBRARY_PATH": os.pathsep.join(found),
            "PATH": f"{self.folder}/bin/lx-amd64{os.pathsep}{os.environ['PATH']}",
        }
        self.mark = f"SGE_ROOT={self.folder}"

    # Starting

    def begin(self):
        self.programs()
        self.configure()
        self.master()
        self.says("qconf", "-ah", self.words["host"])
        self.call("qconf", "-as", self.words["host"])
        self.foreground("sge_execd")
        self.until(lambda: "lx-amd64" in (self.says("qhost", "-h", self.words["host"]) or ""), "no sge_execd")
        self.change("-ssconf", "-Msconf", SCHEDULER)
        self.change("-sq", "-Aq", QUEUE)
        self.call(
            "qconf", "-mattr", "exechost", "complex_values", f"h_vmem={self.words['memory']}", self.words["host"]
        )

    def master(self):
        self.foreground("sge_qmaster")
        self.until(lambda: self.says("qconf", "-sconf") is not None, "sge_qmaster does not start")

    def programs(self):
        """Those of the packages, in a folder as Grid Engine has it."""
        place = self.folder / "bin/lx-amd64"
        place.mkdir(parents=True)
        for path in filter(Path.exists, LIBRARIES.iterdir()):
            data = path.read_bytes()
            if FIXED in data:
                (place / path.name).write_bytes(data.replace(FIXED, LOOSE))
                (place / path.name).chmod(0o755)
            else:
                (place / path.name).symlink_to(path)
        # Grid Engine cuts names of libraries that are longer than 64 bytes or so.
        (self.folder / "lib").symlink_to(LIBRARIES)
        (self.folder / "util").symlink_to(TREE / "share/gridengine/util")

    def configure(self):
        common, conf = self.folder / "default/common", self.folder / "conf"
        for name in ("default/common", "spool/qmaster/job_scripts", "spool/execd", "conf", "run"):
            (self.folder / name).mkdir(parents=True)
        (common / "bootstrap").write_text(BOOTSTRAP.format(**self.words))
        (common / "act_qmaster").write_text(f"{self.words['host']}\n")
        # what the resolver calls this machine may be localhost
        canonical = socket.gethostbyaddr(socket.gethostbyname(socket.gethostname()))[0]
        (common / "host_aliases").write_text(f"{self.words['host']} {socket.gethostname()} {canonical}\n")
        settings = {name: value.format(**self.words) for name, value in GLOBAL.items()}
        defaults = (TREE / "share/gridengine/default-configuration").read_text()
        (conf / "global").write_text(changed(defaults, settings))
        resources = TREE / "share/gridengine/util/resources"
        shutil.copytree(resources / "centry", conf / "centry")
        vmem = (conf / "centry/h_vmem").read_text()
        (conf / "centry/h_vmem").write_text(changed(vmem, {"consumable": "YES", "default": "1G"}))
        self.call("spoolinit", "classic", f"{self.words['libraries']}/libspoolc", self.words["spooling"], "init")
        for kind, path in (
            ("configuration", conf / "global"),
            ("complexes", conf / "centry"),
            ("usersets", resources / "usersets"),
            ("pes", resources / "pe"),
            ("managers", self.user),
        ):
            self.call("spooldefaults.bin", kind, path)

    def foreground(self, name):
        before, self.env = self.env, self.env | {"SGE_ND": "true"}
        self.daemon(name)
        self.env = before

    def change(self, shown, given, settings):
        """Gives qconf what it shows, with other values."""
        path = self.folder / "conf" / given
        path.write_text(changed(self.call("qconf", shown), {k: v.format(**self.words) for k, v in settings.items()}))
        self.call("qconf", given, path)

    # Calls

    def queue(self):
        """Jobs that have not ended: lists of number, name and state."""
        lines = self.call("qstat", "-u", "*").splitlines()[2:]
        return [[words[0], words[2], words[4]] for words in map(str.split, lines)]

    def jobs(self):
        """What accounting knows of all jobs: dicts of its words, by number."""
        found = {}
        for text in (self.says("qacct", "-j", "*") or "").split("=" * 62)[1:]:
            job = dict(line.split(None, 1) for line in text.splitlines() if len(line.split(None, 1)) == 2)
            found[job["jobnumber"].strip()] = {name: value.strip() for name, value in job.items()}
        return found

    # Stopping

    def cancel(self):
        if any(name == "sge_qmaster" and child.poll() is None for name, child in self.children):
            self.says("qdel", "-f", "-u", "*")
            end = time.monotonic() + 30
            while self.says("qstat", "-u", "*") and time.monotonic() < end:
                time.sleep(0.2)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("command", nargs=argparse.REMAINDER)
    return command(Cluster, args.parse_args().command)


if __name__ == "__main__":
    sys.exit(main())
