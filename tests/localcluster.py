"""What clusters on this machine share that are started for tests: daemons in a folder of their own, calls, an end."""

import contextlib
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

PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

# A daemon ends with the process that started it, even if that is killed.
ORPHAN = ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()


class Unavailable(Exception):
    """Why there is no such cluster here."""


def lacking(names, path=PATH):
    return [name for name in names if not shutil.which(name, path=path)]


def free_ports(count):
    """Ports that nobody listens at now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class LocalCluster:
    """`env` is the environment of daemons and jobs; `mark`, a setting in it, tells them from other processes."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="mill-", dir="/tmp"))  # short: names of sockets have 107 bytes
        self.folder.chmod(0o755)
        self.children = []
        self.user = getpass.getuser()
        self.env = dict(os.environ)
        self.mark = None

    def start(self):
        try:
            self.begin()
        except BaseException:
            self.stop()
            raise
        return self

    def begin(self):
        """Starts the daemons."""
        raise NotImplementedError

    def cancel(self):
        """Ends all jobs."""
        raise NotImplementedError

    def find(self, name):
        return shutil.which(name, path=self.env["PATH"])

    def daemon(self, name, *options):
        with open(self.folder / f"run/{name}{len(self.children)}.said", "wb") as log:
            how = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "start_new_session": True}
            child = subprocess.Popen([*ORPHAN, self.find(name), *options], env=self.env, cwd=self.folder, **how)
        self.children.append((name, child))

    def until(self, ready, otherwise, seconds=120):
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

    def call(self, name, *options):
        """What the command prints; it must succeed."""
        done = subprocess.run(
            [self.find(name), *map(str, options)],
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

    def end(self, name):
        """Ends the daemons of this name."""
        for each, child in reversed(self.children):
            if each == name:
                child.terminate()
                try:
                    child.wait(30)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
        self.children = [(each, child) for each, child in self.children if each != name]

    def stop(self):
        self.cancel()
        for name, _ in reversed(list(self.children)):
            self.end(name)
        end = time.monotonic() + 30
        while (strays := self.strays()) and time.monotonic() < end:
            for process in strays:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.1)
        shutil.rmtree(self.folder, ignore_errors=True)

    def strays(self):
        """Processes that were started in this cluster and are still there."""
        mark, found = self.mark.encode(), []
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


def command(make, words):
    """Runs a command, or a shell, in the cluster that `make` makes, and stops the cluster."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with make() as cluster:
            return subprocess.run(words or [os.environ.get("SHELL", "sh")], env=cluster.env, check=False).returncode
    except Unavailable as why:
        sys.exit(f"cluster: {why}")
