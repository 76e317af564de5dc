"""Much work at a time, and how far it is."""

import sys
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from fetch.bucket import Trouble
from operate.words import duration, shown, size

HOPELESS = 20  # failures in a row


def say(text):
    lines = "\n".join(shown(line) for line in str(text).split("\n"))
    print(f"fetch: {lines}", file=sys.stderr, flush=True)


class Progress:
    """One line that is written over on a terminal, a line now and then elsewhere."""

    def __init__(self, what, files, total, meter, args):
        self.what, self.files, self.all, self.meter = what, files, total, meter
        self.done, self.begun, self.first = 0, time.monotonic(), meter.bytes
        self.terminal, self.quiet = sys.stderr.isatty(), args.quiet
        self.every = 0.5 if self.terminal else args.every
        self.told = self.begun

    def show(self, last=False):
        now = time.monotonic()
        if self.quiet or (now - self.told < self.every and not last):
            return
        self.told = now
        got, rate = self.meter.bytes - self.first, (self.meter.bytes - self.first) / max(now - self.begun, 1e-3)
        text = f"{self.what} {self.done} of {self.files} files, {size(got)} of {size(self.all)}"
        text += f", {size(int(rate))}/s"
        if rate and not last:
            text += f", {duration(max(self.all - got, 0) / rate)} left"
        begin, end = ("\x1b[K", "\r") if self.terminal else ("", "\n")
        print(f"{begin}fetch: {text}", end="\n" if last else end, file=sys.stderr, flush=True)


class Failures:
    """[Trouble] of what has failed; after many in a row nothing is to be hoped for."""

    def __init__(self):
        self.all, self.in_a_row = [], 0

    def hopeless(self):
        return self.in_a_row >= HOPELESS

    def passed(self, future):
        """Whether it went well."""
        try:
            future.result()
            self.in_a_row = 0
            return True
        except Trouble as trouble:
            self.all.append(trouble)
            self.in_a_row += 1
            return False


def ended(pool, work, items, threads, failures):
    """Futures of what has ended, some now and then, perhaps none."""
    rest, running = iter(items), set()
    while True:
        while len(running) < threads and not failures.hopeless() and (item := next(rest, None)) is not None:
            running.add(pool.submit(work, item))
        if not running:
            return
        done, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
        yield done


def together(work, items, threads, progress=None, stop=None):
    """work(item) for all items, some at a time. [Trouble] of those that failed; the others are done all the same,
    unless so many fail in a row that the rest is not tried."""
    failures, pool = Failures(), ThreadPoolExecutor(threads)
    try:
        for done in ended(pool, work, items, threads, failures):
            well = sum(failures.passed(future) for future in done)
            if progress:
                progress.done += well
                progress.show()
        if failures.hopeless():
            say(f"{failures.in_a_row} failures in a row; the rest is not tried")
        return failures.all
    except BaseException:
        if stop:
            stop.set()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
