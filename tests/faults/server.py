"""A program that waits before its main() and goes on as a fork of itself, once for each fault (FAULT_SERVER, shim.c):
it is loaded and linked once, not thousands of times."""

import os
import select
import shutil
import signal
import subprocess
import sys

PATIENCE = 90  # seconds for one run; the shim ends it after 60


class Server:
    """One process, with a folder of outputs and a file of messages of its own. One run at a time. `folders` are made
    below that of the outputs before each run."""

    def __init__(self, command, env, folder, folders=()):
        self.out, self.folders = folder / "out", folders
        self.out.mkdir(parents=True)
        self.make_folders()
        self.said = open(folder / "said", "a+b", buffering=0)  # noqa: SIM115 - until close()
        (orders, self.orders), (self.answers, answers) = os.pipe(), os.pipe()
        env = {key: value.replace("{out}", str(self.out)) for key, value in env.items()}
        self.process = subprocess.Popen(
            [word.replace("{out}", str(self.out)) for word in command],
            env=env | {"FAULT_SERVER": f"{orders},{answers}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.said,
            pass_fds=(orders, answers),
        )
        os.close(orders)
        os.close(answers)

    def run(self, call, at, how, lasts=0):
        """(status as subprocess has it or "hangs", {name: bytes} of what lies in the output folder, messages)"""
        os.write(self.orders, f"{call} {at} {how} {lasts}\n".encode())
        ready, _, _ = select.select([self.answers], [], [], PATIENCE)
        answer = os.read(self.answers, 64) if ready else b""
        if not answer:
            raise SystemExit(f"{call} {at} {how} {lasts}: the process that waits is gone: {self.messages()}")
        status = os.waitstatus_to_exitcode(int(answer))
        left, said = self.files(), self.messages()
        self.clear()
        return "hangs" if status == -signal.SIGALRM else status, left, said

    def files(self):
        return {str(path.relative_to(self.out)): path.read_bytes() for path in self.out.rglob("*") if path.is_file()}

    def messages(self):
        self.said.seek(0)
        return self.said.read().decode(errors="replace")

    def clear(self):
        os.ftruncate(self.said.fileno(), 0)
        for path in self.out.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        self.make_folders()

    def make_folders(self):
        for name in self.folders:
            (self.out / name).mkdir()

    def close(self):
        os.close(self.orders)
        self.process.wait()
        os.close(self.answers)
        self.said.close()


def wait_for_faults():
    """For programs in Python, once what they need is loaded. Without the shim there is nothing to wait for."""
    if "FAULT_LATER" in os.environ and "shim" in os.environ.get("LD_PRELOAD", ""):
        import ctypes

        sys.stderr.flush()
        ctypes.PyDLL(None).fault_serve()
