"""A program that waits before its main() and goes on as a fork of itself, once for each fault (FAULT_SERVER, shim.c):
it is loaded and linked once, not thousands of times."""

import os
import select
import shutil
import signal
import subprocess
import sys

PATIENCE = 90  # seconds for one run; the shim ends it after 60


def text_of(file):
    file.seek(0)
    return file.read()


def as_output(printed):
    """What a program prints, among the files that it writes."""
    return {"what is printed": printed} if printed else {}


class Server:
    """One process, with a folder of outputs and a file of messages of its own. One run at a time. `folders` are made
    below that of the outputs before each run."""

    def __init__(self, command, env, folder, folders=()):
        self.out, self.folders = folder / "out", folders
        self.out.mkdir(parents=True)
        self.make_folders()
        self.said = open(folder / "said", "a+b", buffering=0)  # noqa: SIM115 - until close()
        self.printed = open(folder / "printed", "a+b", buffering=0)  # noqa: SIM115 - until close()
        (orders, self.orders), (self.answers, answers) = os.pipe(), os.pipe()
        env = {key: value.replace("{out}", str(self.out)) for key, value in env.items()}
        self.process = subprocess.Popen(
            [word.replace("{out}", str(self.out)) for word in command],
            env=env | {"FAULT_SERVER": f"{orders},{answers}"},
            stdin=subprocess.DEVNULL,
            stdout=self.printed,
            stderr=self.said,
            pass_fds=(orders, answers),
        )
        os.close(orders)
        os.close(answers)

    def run(self, call, at, how, lasts=0):
        """(status as subprocess has it or "hangs", {name: bytes} of what lies in the output folder, messages).
        Where the status is 0, what was printed is an output too."""
        os.write(self.orders, f"{call} {at} {how} {lasts}\n".encode())
        ready, _, _ = select.select([self.answers], [], [], PATIENCE)
        answer = os.read(self.answers, 64) if ready else b""
        if not answer:
            raise SystemExit(f"{call} {at} {how} {lasts}: the process that waits is gone: {text_of(self.said)}")
        status = os.waitstatus_to_exitcode(int(answer))
        left, said = self.files(), text_of(self.said).decode(errors="replace")
        if status == 0:
            left |= as_output(text_of(self.printed))
        self.clear()
        return "hangs" if status == -signal.SIGALRM else status, left, said

    def files(self):
        return {str(path.relative_to(self.out)): path.read_bytes() for path in self.out.rglob("*") if path.is_file()}

    def clear(self):
        for file in (self.said, self.printed):
            os.ftruncate(file.fileno(), 0)
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
        self.printed.close()


def wait_for_faults():
    """For programs in Python, once what they need is loaded. Without the shim there is nothing to wait for."""
    if "FAULT_LATER" in os.environ and "shim" in os.environ.get("LD_PRELOAD", ""):
        import ctypes

        sys.stderr.flush()
        ctypes.PyDLL(None).fault_serve()
