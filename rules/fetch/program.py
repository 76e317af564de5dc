"""fetch: downloads from an S3 bucket what a configuration needs, and nothing else.

The configuration is the workflow's (config.yaml, or --configfile), with a section `remote` that names the bucket:

    root: /data/nsd                          # where the files go
    remote:
      url: s3://natural-scenes-dataset       # accept the dataset's terms first
      anonymous: true                        # no credentials; otherwise those that boto3 finds

Files keep their places: s3://BUCKET/a/b becomes ROOT/a/b. The workflow then finds there what it needs. With `remote:
{stream: true}` scanned runs are left out; the workflow reads them from the bucket when it needs them.

  - Run it again after an interruption: files that are complete stay, those that were begun are gone on with.
  - A file gets its name when its size is right, its bytes have the object's MD5 (where the ETag is one), and its gzip
    trailers are right.
  - A file that was there before and differs from the bucket's is not touched, unless you say --replace.

Exit status: 0 all is there; 1 something is not; 2 the command line is wrong; 130 interrupted.
"""

import argparse
import fcntl
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from dataset.files import Disk, Either
from fetch import transfer
from fetch.bucket import Bucket, Changed, Object, Stopped, Trouble
from fetch.checks import Damaged
from fetch.listing import Journal, Live, place
from operate import whole

EXAMPLES = """examples:
  fetch --configfile nsd.yaml --dry-run                 what would be fetched, and how much it is
  fetch --configfile nsd.yaml                           fetch it
  fetch --configfile nsd.yaml --config subjects=1,2     only these
  fetch --configfile nsd.yaml --verify                  read all of it again and compare
  make fetch ARGS='--configfile nsd.yaml --dry-run'     the same from the folder of boldmill
"""
HOPELESS = 20  # failures in a row
UNITS = ("B", "kB", "MB", "GB", "TB")


def say(text):
    print(f"fetch: {text}", file=sys.stderr, flush=True)


def amount(n):
    """A number of bytes for people."""
    for unit in UNITS:
        if n < 1000 or unit == UNITS[-1]:
            return f"{n:.1f} {unit}" if unit != "B" else f"{n:.0f} B"
        n /= 1000


def duration(seconds):
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 100 else f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"


# Files: which are there, which are to come


class Files:
    """The files below the root as they are on the disk, beside what the bucket has."""

    def __init__(self, live, journal, replace=False):
        self.live, self.journal, self.replace = live, journal, replace

    def state(self, path):
        """here; compare (there before us, with the right size); fetch."""
        wanted, entry = self.live.object(path), self.journal.find(path)
        try:
            size = os.path.getsize(path)
        except FileNotFoundError:
            return "fetch"
        if entry and entry["etag"] == wanted.etag and entry["size"] == size == wanted.size:
            return "here"
        if size == wanted.size and (not entry or entry["etag"] == wanted.etag):
            return "compare"
        if entry or self.replace:
            return "fetch"
        raise Trouble(different(path, f"has {size} bytes and the bucket's has {wanted.size}"))

    def get(self, path, meter):
        """Sees to it that the file is there. Whether anything was transferred."""
        state, wanted, key = self.state(path), self.live.object(path), self.live.key(path)
        if state == "compare" and self.compare(path, wanted, key):
            return False
        if state == "here":
            return False
        found, md5, how = transfer.to_file(self.live.bucket, key, wanted, path, meter)
        self.live.replace(path, found)
        self.journal.add(path, found, md5, how)
        return True

    def compare(self, path, wanted, key):
        """Takes a file that we did not fetch for what it is, if its bytes are the object's."""
        try:
            self.journal.add(path, wanted, *self.check(path, wanted, key))
        except Damaged as damage:
            if not self.replace:
                raise Trouble(different(path, str(damage))) from None
            return False
        return True

    def check(self, path, wanted, key):
        return transfer.checked(self.live.bucket, key, wanted, path, os.path.basename(path))

    def verify(self, path):
        """Reads a file again; Trouble if it is not what was fetched."""
        entry = self.journal.find(path)
        try:
            md5, _ = self.check(path, self.live.object(path), self.live.key(path))
            if entry and md5 != entry["md5"]:
                raise Damaged(f"its MD5 was {entry['md5']} when it was fetched and is {md5} now")
        except FileNotFoundError:
            raise Trouble(f"{path}: is not there; run fetch") from None
        except Damaged as damage:
            raise Trouble(f"{path}: {damage}; run fetch --replace after removing it") from None


def different(path, how):
    return f"{path}: was there before and is not what the bucket has ({how}); move it away, or give --replace"


# Progress


class Progress:
    """One line that is written over on a terminal, one line a minute elsewhere."""

    def __init__(self, what, files, size, meter, quiet):
        self.what, self.files, self.size, self.meter = what, files, size, meter
        self.done, self.begun, self.first = 0, time.monotonic(), meter.bytes
        self.terminal, self.quiet = sys.stderr.isatty(), quiet
        self.told = self.begun

    def show(self, last=False):
        now = time.monotonic()
        if self.quiet or (now - self.told < (0.5 if self.terminal else 60) and not last):
            return
        self.told = now
        got, rate = self.meter.bytes - self.first, (self.meter.bytes - self.first) / max(now - self.begun, 1e-3)
        text = f"{self.what} {self.done} of {self.files} files, {amount(got)} of {amount(self.size)}"
        text += f", {amount(rate)}/s"
        if rate and not last:
            text += f", {duration(max(self.size - got, 0) / rate)} left"
        begin, end = ("\x1b[K", "\r") if self.terminal else ("", "\n")
        print(f"{begin}fetch: {text}", end="\n" if last else end, file=sys.stderr, flush=True)


def together(work, items, threads, progress=None, stop=None):
    """work(item) for all items, some at a time. [Trouble] of those that failed; the others are done all the same,
    unless so many fail in a row that nothing is to be hoped for."""
    failed, running, in_a_row = [], set(), 0
    rest = iter(items)
    pool = ThreadPoolExecutor(threads)
    try:
        while True:
            while len(running) < threads and in_a_row < HOPELESS and (item := next(rest, None)) is not None:
                running.add(pool.submit(work, item))
            if not running:
                if in_a_row >= HOPELESS:
                    say(f"{in_a_row} failures in a row; the rest is not tried")
                return failed
            done, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    future.result()
                    in_a_row = 0
                    if progress:
                        progress.done += 1
                except Trouble as trouble:
                    failed.append(trouble)
                    in_a_row += 1
            if progress:
                progress.show()
    except BaseException:
        if stop:
            stop.set()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


# The whole


class Fetch:
    def __init__(self, config, args):
        from dataset.dataset import Dataset

        self.config, self.args, self.remote = config, args, config["remote"]
        if not self.remote["url"]:
            raise Trouble("config: remote: url is not given; write e.g. remote: {url: s3://natural-scenes-dataset}")
        self.bucket = Bucket(self.remote)
        self.meter = transfer.Meter(self.remote["bandwidth"] and self.remote["bandwidth"] * 1e6)
        self.data = Dataset(config, None, Trouble, say, say)
        self.root = self.data.root
        self.live, self.journal = Live(self.root, self.bucket), Journal(self.root)
        self.files = Files(self.live, self.journal, args.replace)
        self.live.fetch_now, self.live.where = self.fetch_now, self.where
        self.data.files = Either(self.live, Disk())
        self.only_look = args.dry_run or args.verify

    def __enter__(self):
        self.lock = None if self.only_look else alone(self.root)
        self.aside = tempfile.TemporaryDirectory(prefix="boldmill-fetch-") if self.only_look else None
        return self

    def __exit__(self, *error):
        if self.aside:
            self.aside.cleanup()
        if self.lock is not None:
            os.close(self.lock)

    # Small files that decide what else is needed

    def fetch_now(self, paths):
        """Designs and sidecars: to where they belong, or for a dry run to a folder that goes away."""
        if self.only_look:
            paths = [path for path in paths if self.files.state(path) == "fetch"]
        self.end(together(self.small, paths, self.remote["parallel"], stop=self.bucket.stop))

    def small(self, path):
        if not self.only_look:
            self.files.get(path, self.meter)
        elif not os.path.exists(target := self.where(path)):
            transfer.to_file(self.bucket, self.live.key(path), self.live.object(path), target, transfer.Meter())

    def where(self, path):
        if not self.only_look or self.files.state(path) != "fetch":
            return path
        return os.path.join(self.aside.name, path[len(self.live.root) :])

    # What is to be done

    def plan(self):
        """{path: kind} of what is needed and in the bucket."""
        from fetch import needs

        found = needs.needed(self.data, self.config, lambda s: say(f"subject {s}: asking the bucket what is there"))
        found = dict.fromkeys(self.live.asked, "design") | found
        if self.remote["stream"]:
            found = {path: kind for path, kind in found.items() if kind != "run"}
        wanted = {path: kind for path, kind in found.items() if self.live.exists(path)}
        missing = [path for path in found if path not in wanted and not os.path.exists(path)]
        if missing:
            raise Trouble(f"{missing[0]}: is neither in the bucket nor on the disk; correct the configuration")
        return wanted

    def run(self):
        wanted = self.plan()
        if self.args.verify:
            return self.verify(wanted)
        if self.args.dry_run:
            return self.tell(wanted)
        self.live.save()
        todo = [path for path in wanted if self.files.state(path) != "here"]
        self.check_room(todo)
        size = sum(self.left(path) for path in todo)
        progress = Progress("fetched", len(todo), size, self.meter, self.args.quiet)
        failed = together(
            lambda path: self.files.get(path, self.meter), todo, self.remote["parallel"], progress, self.bucket.stop
        )
        progress.show(last=True)
        self.live.save()
        self.end(failed)
        size = sum(self.live.object(path).size for path in wanted)
        say(f"{len(wanted)} files ({amount(size)}) are in {self.root}; {self.meter.bytes} bytes were transferred")
        return 0

    def left(self, path):
        """Bytes that are still to come."""
        if self.files.state(path) != "fetch":
            return 0
        wanted = self.live.object(path)
        return wanted.size - transfer.have(path, wanted)

    def check_room(self, todo):
        need = sum(self.left(path) for path in todo)
        whole.make_folder(self.root)
        free = shutil.disk_usage(self.root).free
        if need > free:
            what = f"{amount(need)} are to be fetched and {amount(free)} are free"
            raise Trouble(f"{self.root}: {what}; make room, fetch fewer subjects or sessions, or set remote: stream")

    def tell(self, wanted):
        """The dry run: each file with its size and what would be done, and the sums."""
        sums = {}
        for path, kind in wanted.items():
            state, size = self.files.state(path), self.live.object(path).size
            todo = {"here": "here", "compare": "compare", "fetch": "fetch"}[state]
            print(f"{size:14d}  {todo:8s}{self.bucket.url(self.live.key(path))}")
            files, total = sums.get((kind, todo), (0, 0))
            sums[kind, todo] = files + 1, total + size
        for (kind, todo), (files, size) in sorted(sums.items()):
            say(f"{kind}: {files} files, {amount(size)}, {SAID[todo]}")
        todo = [path for path in wanted if self.files.state(path) == "fetch"]
        free = shutil.disk_usage(existing(self.root)).free
        left = sum(self.left(path) for path in todo)
        say(
            f"to be fetched: {len(todo)} files, {left} bytes ({amount(left)}); free below {self.root}: {amount(free)}"
        )
        return 0

    def verify(self, wanted):
        sizes = {path: self.live.object(path).size for path in wanted}
        meter = transfer.Meter()
        progress = Progress("read", len(wanted), sum(sizes.values()), meter, self.args.quiet)

        def work(path):
            self.files.verify(path)
            meter(sizes[path])

        self.end(together(work, wanted, self.remote["parallel"], progress, self.bucket.stop))
        say(f"{len(wanted)} files ({amount(sum(sizes.values()))}) are what the bucket has")
        return 0

    def end(self, failed):
        """Tells each failure, and ends if there are any."""
        for trouble in failed[:-1]:
            say(trouble)
        if failed:
            raise failed[-1]


SAID = {"here": "here already", "compare": "here already, to be compared", "fetch": "to be fetched"}


def existing(path):
    """The folder, or the nearest one above it that is there."""
    path = os.path.abspath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def alone(root):
    """Keeps the lock of the root until the process ends."""
    path = place(root, "lock")
    whole.make_folder(os.path.dirname(path))
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Trouble(f"{root}: another fetch is at work there; wait for it") from None
    return lock


# One object to standard output


def stream(args):
    """What nifti2h5 calls for each run: --settings is the section remote, --expect the size and the ETag that the
    object had when it was listed."""
    bucket = Bucket(settings_given(args.settings))
    head = f"s3://{bucket.name}/"
    if not args.stdout.startswith(head):
        raise Trouble(f"{args.stdout}: is not in the bucket {head}; correct the url")
    key = args.stdout[len(head) :]
    transfer.end_with_reader(1)
    wanted = bucket.head(key) if not args.expect else expected(args.expect, key)
    transfer.to_pipe(bucket, key, wanted, 1, transfer.Meter())
    return 0


def settings_given(text):
    """JSON, in a file or as it is; "-" is standard input."""
    if text == "-":
        return json.load(sys.stdin)
    if text.lstrip().startswith("{"):
        return json.loads(text)
    with open(text, encoding="utf-8") as file:
        return json.load(file)


def expected(path, key):
    """What the listing of the last fetch says of an object."""
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    prefix = content["url"].split("/", 3)[3]
    folder, name = os.path.split(key[len(prefix) :])
    try:
        return Object(*content["listed"][os.path.join(folder, "") if folder else ""]["files"][name])
    except KeyError:
        raise Trouble(f"{key}: was not seen by the last fetch; run fetch again") from None


# The command line


def given(args):
    """The configuration by the command line, before presets and defaults."""
    import yaml

    from configuration import presets

    if args.settings:
        return settings_given(args.settings)
    found = {}
    for path in args.configfile or (["config.yaml"] if os.path.exists("config.yaml") else []):
        try:
            with open(path, encoding="utf-8") as file:
                found = presets.merged(found, yaml.safe_load(file) or {})
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise Trouble(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    for pair in args.config:
        key, equals, value = pair.partition("=")
        if not equals:
            raise Trouble(f"--config {pair}: is not KEY=VALUE; write e.g. subjects=1,2")
        value = yaml.safe_load(value) if value.startswith(("{", "[")) else value
        found = presets.merged(found, {key: value})
    return found


def configured(args):
    from snakemake.exceptions import WorkflowError

    from configuration.schema import complete

    try:
        return complete(given(args))
    except WorkflowError as error:
        raise Trouble(str(error)) from None


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="fetch", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--configfile", nargs="+", metavar="FILE", help="configuration of the workflow [config.yaml]")
    add("--config", nargs="+", default=[], metavar="KEY=VALUE", help="single settings, as for snakemake")
    add("--dry-run", "-n", action="store_true", help="list what would be fetched, with sizes; fetch nothing")
    add("--verify", action="store_true", help="read all files again and compare them with the bucket; fetch nothing")
    add("--replace", action="store_true", help="fetch anew what was there before and differs from the bucket")
    add("--quiet", "-q", action="store_true", help="no progress")
    add(
        "--stdout",
        metavar="URL",
        help="write one object to standard output; its end is held back until it is checked",
    )
    add("--settings", metavar="JSON", help="all settings (with --stdout: of remote) as JSON, a file of it, or -")
    add("--expect", metavar="FILE", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.stdout and not args.settings:
        parser.error("--stdout needs --settings")
    return args


def work(args):
    if args.stdout:
        return stream(args)
    with Fetch(configured(args), args) as fetch:
        return fetch.run()
    return fetch.run()


def interrupted(number, frame):
    raise KeyboardInterrupt(number)


def main(argv=None):
    signal.signal(signal.SIGTERM, interrupted)
    try:
        status = work(parse(argv))
    except (Trouble, Stopped, Changed) as trouble:
        say(trouble)
        status = 1
    except OSError as error:
        say(f"{error.filename or 'fetch'}: {error.strerror or error}; mend it and run it again, it goes on there")
        status = 1
    except KeyboardInterrupt as why:
        say("interrupted; what was begun is gone on with by the next call")
        status = 128 + int(why.args[0]) if why.args else 130
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # threads that still wait for the network have nothing to put in order
