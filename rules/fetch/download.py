"""The download: plans what is to be fetched, and fetches, tells or verifies it."""

import fcntl
import os
import shutil
import tempfile

from dataset.dataset import Dataset
from dataset.files import Disk, Either
from fetch import needs, transfer
from fetch.bucket import Bucket, Trouble
from fetch.disk import Files
from fetch.listing import Journal, Live, place
from fetch.together import Progress, say, together
from operate import whole
from operate.words import many
from operate.words import size as amount


class Fetch:
    def __init__(self, config, args):
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
        self.lock = None if self.only_look else alone(self.root, self.args.wait)
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
        found = needs.needed(
            self.data, self.config, self.args.roi, lambda s: say(f"subject {s}: asking the bucket what is there")
        )
        found = dict.fromkeys(self.live.asked, "design") | found
        if self.remote["stream"]:
            found = {path: kind for path, kind in found.items() if kind != "run"}
        wanted = {path: kind for path, kind in found.items() if self.live.exists(path)}
        missing = [path for path in found if path not in wanted and not os.path.exists(path)]
        if missing:
            raise Trouble(f"{missing[0]}: is neither in the bucket nor on the disk; correct the configuration")
        gone = [path for path in found if path not in wanted and self.journal.find(path)]
        if gone:
            say(f"{many(len(gone), 'file')}, no longer in the bucket, used as fetched before: {gone[0]}")
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
        progress = Progress("fetched", len(todo), size, self.meter, self.args)
        failed = together(
            lambda path: self.files.get(path, self.meter), todo, self.remote["parallel"], progress, self.bucket.stop
        )
        if todo:
            progress.show(last=True)
        self.live.save()
        self.end(failed)
        size = sum(self.live.object(path).size for path in wanted)
        say(f"{many(len(wanted), 'file')} ({amount(size)}) in {self.root}; {self.meter.bytes} bytes were transferred")
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
        sums, lines = {}, []
        for path, kind in wanted.items():
            state, size = self.files.state(path), self.live.object(path).size
            todo = {"here": "here", "compare": "compare", "fetch": "fetch"}[state]
            lines.append(f"{size:14d}  {todo:8s}{self.bucket.url(self.live.key(path))}\n")
            files, total = sums.get((kind, todo), (0, 0))
            sums[kind, todo] = files + 1, total + size
        with whole.named("standard output"):
            print("".join(lines), end="", flush=True)
        for (kind, todo), (files, size) in sorted(sums.items()):
            say(f"{kind}: {many(files, 'file')}, {amount(size)}, {SAID[todo]}")
        todo = [path for path in wanted if self.files.state(path) == "fetch"]
        free = shutil.disk_usage(existing(self.root)).free
        left = sum(self.left(path) for path in todo)
        what = f"to be fetched: {many(len(todo), 'file')}, {left} bytes ({amount(left)})"
        say(f"{what}; free below {self.root}: {amount(free)}")
        return 0

    def verify(self, wanted):
        sizes = {path: self.live.object(path).size for path in wanted}
        meter = transfer.Meter()
        progress = Progress("read", len(wanted), sum(sizes.values()), meter, self.args)

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


def alone(root, patient=False):
    """Keeps the lock of the root until the process ends. If another has it, waits for it where asked to."""
    path = place(root, "lock")
    whole.make_folder(os.path.dirname(path))
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with whole.named(path):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not patient:
            raise Trouble(f"{root}: another fetch is at work there; wait for it (--wait)") from None
        say(f"{root}: another fetch is at work there; waiting")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock
