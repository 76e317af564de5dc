"""How far the workflow is, in what people count (sessions, ROI arrays), and when it will end.

A handler on Snakemake's own logger hears which jobs start and end, whoever runs them (this machine, Slurm), and says
a line now and then. Only the process that was called has it: jobs do not run hooks.
"""

import logging
import re
import sys
import textwrap
import threading
import time

from operate.words import duration, size

# What people call the result of a job; other rules are counted under their own names.
NAMES = {"pack": "sessions", "arrays": "ROI arrays", "clean": "cleaned sessions", "quality": "sessions measured"}
NAMES |= {"subject_report": "reports", "shuffle": "shuffled orders", "split": "splits"}
EVERY = 10  # seconds between two lines; 2 on a terminal
EVERY_TERMINAL = 2
EVERY_STREAM = 15
LEAST = 0.05  # of a running job that is always thought to be left
# Of what Snakemake tells of a job: what it is, and what it makes. All is in its log file.
SHOWN = ("    output:", "    threads:")
SCHEDULER = ("Select jobs to execute", "Execute ")
ERRORS = ("job_error", "error")
LONGEST = 600  # characters of a line about an error: it may hold a command with the names of hundreds of runs
CAUSE = 300  # characters of what a program says


class Job:
    def __init__(self, rule, work):
        self.rule, self.work = rule, work
        self.started = self.ended = None


class Progress:
    """jobs: {id: Job}; a job's work is in any unit, the same for all."""

    def __init__(self, jobs, now=time.monotonic):
        self.jobs, self.now = jobs, now
        self.failed = {}  # {id: (outputs, logs)}; one that is tried again and succeeds is not among them
        self.begin = now()
        self.slots = 1  # jobs that have been under way at once

    def start(self, ids):
        for job in (self.jobs[key] for key in ids if key in self.jobs):
            job.started = self.now()
        self.slots = max(self.slots, len(self.running()))

    def end(self, key):
        """Whether it is one of these jobs."""
        job = self.jobs.get(key)
        self.failed.pop(key, None)
        if job:
            job.started = self.begin if job.started is None else job.started
            job.ended = self.now()
        return job is not None

    def running(self):
        return [job for job in self.jobs.values() if job.started is not None and job.ended is None]

    def done(self):
        return [job for job in self.jobs.values() if job.ended is not None]

    def left(self):
        """Seconds to go, or None before anything has ended: the work left at the rate of what has ended."""
        took = sum(job.ended - job.started for job in self.done())
        if not took:
            return None
        rate = sum(job.work for job in self.done()) / took
        begun = [max(job.work - rate * (self.now() - job.started), LEAST * job.work) for job in self.running()]
        waiting = [job.work for job in self.jobs.values() if job.started is None]
        at_once = min(self.slots, len(begun) + len(waiting))
        return max(sum(begun + waiting) / at_once, *begun, *waiting) / rate if at_once else 0

    def counts(self):
        """[(name, done, of all)] in the order of the rules' first jobs, the best-known names first."""
        rules = sorted({job.rule for job in self.jobs.values()}, key=lambda rule: (rule not in NAMES, rule))
        rules.sort(key=lambda rule: list(NAMES).index(rule) if rule in NAMES else len(NAMES))
        every = {rule: [job for job in self.jobs.values() if job.rule == rule] for rule in rules}
        return [
            (NAMES.get(rule, rule), sum(job.ended is not None for job in of), len(of)) for rule, of in every.items()
        ]

    def so_far(self):
        parts = ", ".join(f"{done} of {total} {name}" for name, done, total in self.counts())
        return f"{parts}; {duration(self.now() - self.begin)}"

    def line(self):
        left = self.left()
        if not left:
            return f"boldmill: {self.so_far()}"
        until = time.strftime(" (until %H:%M)", time.localtime(time.time() + left)) if left >= 90 else ""
        return f"boldmill: {self.so_far()}, about {duration(left)} to go{until}"


class Teller(logging.Handler):
    """Hears Snakemake's events and says lines."""

    def __init__(self, progress, say, every):
        super().__init__()
        self.progress, self.say, self.every = progress, say, every
        self.last = -every  # when a line was said

    def emit(self, record):
        event = event_of(record)
        try:
            if event == "job_started":
                self.progress.start(record.jobs if isinstance(record.jobs, list) else [record.jobs])
            elif event == "job_error":
                self.progress.failed[record.jobid] = record.output, record.log
            elif event == "job_finished" and self.progress.end(record.job_id):
                self.tell()
        except Exception:
            self.handleError(record)

    def tell(self):
        now = time.monotonic()
        if now - self.last >= self.every or len(self.progress.done()) == len(self.progress.jobs):
            self.last = now
            self.say(self.progress.line())


class Streams(threading.Thread):
    """Says now and then how much the jobs have read from a bucket, where that takes long. jobs: {id: (bytes in all,
    file with a number for each run that has come)}."""

    def __init__(self, progress, jobs, say, every=EVERY_STREAM):
        super().__init__(daemon=True)
        self.progress, self.jobs, self.say, self.every = progress, jobs, say, every

    def run(self):
        while len(self.progress.done()) < len(self.progress.jobs):
            time.sleep(self.every)
            if any(self.progress.jobs[key] in self.progress.running() for key in self.jobs):
                self.say(self.line())

    def line(self):
        got = sum(self.come(key) for key in self.jobs)
        total = sum(wanted for wanted, _ in self.jobs.values())
        return f"boldmill: {self.progress.so_far()}, {size(got)} of {size(total)} read from the bucket"

    def come(self, key):
        job, (wanted, tally) = self.progress.jobs[key], self.jobs[key]
        if job.started is None or job.ended is not None:
            return wanted if job.ended is not None else 0
        try:
            with open(tally, encoding="ascii") as file:
                return sum(int(line) for line in file if line.endswith("\n"))
        except OSError:
            return 0


# Errors in the configuration or the dataset, as Snakemake words them when it asks our functions or reads our files.
ASKING = re.compile(r"InputFunctionException in [^\n]*\nError:\n  WorkflowError:\n(.*?)\nWildcards:", re.DOTALL)
READING = re.compile(r"WorkflowError in file [^\n]*\n(.*?)(?:\n  File [^\n]*)*", re.DOTALL)


def plain(text):
    """The message of such an error, without the way through our files that led to it; any other text as it is."""
    found = ASKING.match(text) or READING.fullmatch(text.rstrip("\n"))
    return f"Error: {textwrap.dedent(found[1])}" if found else text


class Plain(logging.Formatter):
    """Errors that are the user's to mend, in no more words than that takes."""

    def __init__(self, whole):
        super().__init__()
        self.whole = whole

    def format(self, record):
        text = self.whole.format(record)
        return plain(text) if event_of(record) == "error" and isinstance(text, str) else text


class Short(logging.Formatter):
    """Of the jobs that begin the lines that people look for, of long lines about errors both ends; all else as it
    is."""

    def __init__(self, whole):
        super().__init__()
        self.whole = whole

    def format(self, record):
        text, event = self.whole.format(record), event_of(record)
        if not isinstance(text, str) or event not in ("job_info", *ERRORS):
            return text
        lines = text.splitlines()
        if event in ERRORS:
            return "\n".join(cut(line) for line in lines)
        return "\n".join(line for line in lines if line.startswith(SHOWN) or line[:4] != "    ")


def cut(line, longest=LONGEST):
    """Both ends of a long line."""
    return line if len(line) <= longest else f"{line[: longest - 100]} [...] {line[-90:]}"


def event_of(record):
    return getattr(getattr(record, "event", None), "value", None)


def not_noise(record):
    """Not the line that ours stands for, and not what the scheduler says to itself."""
    return event_of(record) != "progress" and not str(record.msg).startswith(SCHEDULER)


def terminals(logger):
    return [each for each in logger.handlers if each.get_name() == "DefaultStreamHandler" and each.formatter]


def say_plainly(logger):
    """From now on, errors in few words; Snakemake's log file keeps every word."""
    for handler in terminals(logger):
        handler.setFormatter(Plain(handler.formatter))


def shorten(logger):
    """Less noise on the terminal; Snakemake's log file keeps every word."""
    for handler in terminals(logger):
        handler.setFormatter(Short(handler.formatter))
        handler.addFilter(not_noise)


def watch(logger, jobs, verbose):
    """Begins to tell of these jobs; the Progress."""
    progress = Progress(jobs)
    if not verbose:
        shorten(logger)
    if jobs:
        logger.addHandler(Teller(progress, logger.info, EVERY_TERMINAL if sys.stderr.isatty() else EVERY))
    return progress


# What went wrong


def cause(log):
    """The first message of a program in a job's log, or None: those behind it in the chain only say that nothing
    came."""
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            said = [line.strip() for line in file]
    except OSError:
        return None
    wrong = [line for line in said if line and ": warning: " not in line and "its writer failed" not in line]
    return wrong[0] if wrong else None


def failures(failed, full):
    """A line for each job that failed. full: that the disk is, as a sentence, or None; then a program could not even
    write its message."""
    for outputs, logs in failed.values():
        why = next(filter(None, map(cause, logs)), None)
        nothing = f"it left no message in {', '.join(logs)}; " if logs else "it left no message; "
        why = cut(why, CAUSE) if why else nothing + (full or "was it killed, or is the disk full?")
        yield f"{outputs[0] if outputs else 'a job'} failed: {why}"
