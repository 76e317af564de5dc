"""One object from a bucket to a file, or to a pipe: cut connections are gone on with, and what came is checked.

A file grows as .NAME.TOKEN.part beside its final name, TOKEN standing for the object's ETag and size: what is found
there of another object is of no use and removed. It gets its final name when its size, its ETag (where that is a
hash) and its gzip trailers are right, and it is on the disk.
"""

import contextlib
import glob
import hashlib
import os
import select
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

from fetch import pieces
from fetch.bucket import Changed, Passing, Patience, Stopped, Trouble, Unranged
from fetch.checks import Damaged, Digest, Gzip, reread
from operate import whole

STEP = 1 << 18
LONG = 200  # bytes of a name that its partial file repeats
TIMES = 3  # how often an object is begun anew that keeps changing or comes damaged
HELD = 1 << 16  # bytes that a pipe is given when everything has been checked


class Meter:
    """Counts what arrives, for all threads, and slows them down where a bandwidth (bytes a second) is set."""

    def __init__(self, bandwidth=None):
        self.bandwidth, self.lock = bandwidth, threading.Lock()
        self.bytes, self.requested, self.due = 0, 0, time.monotonic()

    def __call__(self, n):
        with self.lock:
            self.bytes += n
            if not self.bandwidth:
                return
            self.due = max(self.due, time.monotonic() - 0.1) + n / self.bandwidth
            pause = self.due - time.monotonic()
        if pause > 0:
            time.sleep(pause)


def receive(bucket, key, wanted, span, put, meter):
    """Gives the bytes of a span (start, end) to put(data), however often the connection is cut; whether the ETag is
    none of MD5. Raises Changed, Trouble or Stopped; Unranged for a part in the middle of a server that gives none."""
    patience, odd = Patience(bucket, key), False
    at, end = span
    with bucket.slots:
        while at < end:
            try:
                body, odd = bucket.open(key, wanted, at, end)
                with contextlib.closing(body):
                    for data in read(bucket, key, body, at, end):
                        put(data)
                        at += len(data)
                        meter(len(data))
                        patience.progress()
            except Passing as why:
                if isinstance(why, Unranged) and end < wanted.size:
                    raise
                patience.wait(why)
    return odd


def read(bucket, key, body, at, end):
    """What comes of the bytes from `at` to `end`, bit by bit."""
    while at < end:
        with bucket.words(key):
            data = body.read(min(STEP, end - at))
        if not data:
            raise Passing(f"the connection ends {end - at} bytes early")
        if bucket.stop.is_set():
            raise Stopped
        yield data
        at += len(data)


# To a file


def part_stem(path):
    """Where the partial files of a file lie, and how their names begin; no longer than a name may be."""
    folder, name = os.path.split(path)
    whole = os.fsencode(name)
    if len(whole) > LONG:
        name = f"{os.fsdecode(whole[: LONG - 17])}-{hashlib.sha256(whole).hexdigest()[:16]}"
    return os.path.join(folder, f".{name}.")


def part_name(path, wanted):
    token = hashlib.sha256(f"{wanted.etag} {wanted.size}".encode()).hexdigest()[:16]
    return f"{part_stem(path)}{token}.part"


def drop_other_parts(path, part):
    """Those of the same file alone: .a.b.TOKEN.part belongs to a.b, not to a."""
    for other in glob.glob(f"{glob.escape(part_stem(path))}{'[0-9a-f]' * 16}.part"):
        if other != part:
            os.unlink(other)


def have(path, wanted):
    """How many bytes of an object lie in its partial file."""
    return pieces.there(part_name(path, wanted), wanted.size)


def to_file(bucket, key, wanted, path, meter):
    """The object as a file. (the object, its MD5, how it was checked); the object is not the wanted one if it was
    replaced meanwhile."""
    whole.make_folder(os.path.dirname(path))
    for _ in range(TIMES):
        try:
            return wanted, *finished(bucket, key, wanted, path, meter)
        except Changed:
            asked, wanted = wanted, bucket.head(key)
            why = "it is replaced in the bucket again and again"
            if wanted == asked:
                why = "the server says that it is another by now, and names the same ETag (does a proxy change it?)"
        except Damaged as damage:
            why = str(damage)
    raise Trouble(f"{bucket.url(key)}: {why}, {TIMES} times over; tell those who keep the bucket, or try again later")


def finished(bucket, key, wanted, path, meter):
    """(MD5, how it was checked) of the file, which has its name. Of a failure that can be gone on with, the partial
    file stays."""
    part = part_name(path, wanted)
    drop_other_parts(path, part)
    try:
        odd = grow(bucket, key, wanted, part, meter)
        known = checked(bucket, key, wanted, part, os.path.basename(path), odd)
    except (Changed, Damaged):
        remove(part)
        raise
    except Unranged as why:
        raise Trouble(f"{bucket.url(key)}: {why}; run it again later, it goes on there") from None
    except Trouble:
        if have(path, wanted) in (0, wanted.size):  # nothing, or damage
            remove(part)
        raise
    os.rename(part, path)
    whole.sync(os.path.dirname(path))
    return known


def grow(bucket, key, wanted, part, meter):
    """Brings what is missing in the partial file; whether the ETag is none of MD5."""
    fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with whole.named(part):
            odd = (grow_in_pieces if wanted.size >= pieces.LARGE else grow_at_the_end)(bucket, key, wanted, fd, meter)
            os.fsync(fd)
            return odd
    finally:
        os.close(fd)


def grow_at_the_end(bucket, key, wanted, fd, meter):
    start = os.fstat(fd).st_size
    if start > wanted.size:
        os.ftruncate(fd, 0)
        start = 0
    return receive(bucket, key, wanted, (start, wanted.size), writer(fd, start), meter)


def grow_in_pieces(bucket, key, wanted, fd, meter):
    """Several pieces at once, as `parallel` allows."""
    file = pieces.Pieces(fd, wanted.size)

    def bring(number):
        span = file.span(number)
        odd = receive(bucket, key, wanted, span, writer(fd, span[0]), meter)
        file.done(number)
        return odd

    try:
        odd = every(bring, file.missing(), bucket.settings["parallel"])
    except Unranged:
        if len(file.missing()) < file.count:
            raise
        os.ftruncate(fd, 0)
        return grow_at_the_end(bucket, key, wanted, fd, meter)
    file.finish()
    return any(odd)


def every(work, items, threads):
    """What work(item) gives of each; after the first failure no more is begun, and it is raised."""
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, item) for item in items]
        wait(futures, return_when=FIRST_EXCEPTION)
        pool.shutdown(cancel_futures=True)
    return [future.result() for future in sorted(futures, key=Future.cancelled)]


def writer(fd, at):
    """A function that writes what it is given to the file, one behind the other from a place on."""

    def put(data):
        nonlocal at
        view = memoryview(data)
        while view:
            done = os.pwrite(fd, view, at)
            view, at = view[done:], at + done

    return put


def write(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def checked(bucket, key, wanted, path, name, odd=False):
    """(MD5, how it was checked) of a file's bytes; Damaged if they are not the object's."""
    size = os.path.getsize(path)
    if size != wanted.size:
        raise Damaged(f"has {size} bytes where the bucket has {wanted.size}")
    etag = "" if odd else wanted.etag
    digest, gzip = Digest(wanted.size, etag, bucket.part_size(key, wanted)), Gzip(name)
    with open(path, "rb") as file:
        reread(file, digest, gzip)
    how = digest.finish()
    try:
        gzip.finish()
    except Damaged as damage:
        if how == "size":
            raise
        raise Trouble(f"{bucket.url(key)}: {damage}, in the bucket itself; tell those who keep it") from None
    return digest.md5.hexdigest(), how


def remove(path):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


# To a pipe


class Pipe:
    """Writes to a file descriptor, the last bytes kept back until finish()."""

    def __init__(self, fd):
        self.fd, self.kept = fd, bytearray()

    def feed(self, data):
        self.kept += data
        ready = len(self.kept) - HELD
        if ready > 0:
            write(self.fd, bytes(self.kept[:ready]))
            del self.kept[:ready]

    def finish(self):
        write(self.fd, self.kept)


def to_pipe(bucket, key, wanted, fd, meter):
    """The object into a pipe. Damage that shows late leaves the reader with a file whose end is missing."""
    pipe, digest = Pipe(fd), Digest(wanted.size, wanted.etag, bucket.part_size(key, wanted))

    def put(data):
        digest.feed(data)
        pipe.feed(data)

    try:
        odd = receive(bucket, key, wanted, (0, wanted.size), put, meter)
    except Changed:
        raise Trouble(f"{bucket.url(key)}: is another object by now; run fetch again") from None
    if odd:
        digest.etag = ""
    try:
        digest.finish()
    except Damaged as damage:
        raise Trouble(f"{bucket.url(key)}: {damage}; try again later") from None
    pipe.finish()


def end_with_reader(fd):
    """Ends this process when nobody reads from the pipe any more, also while it waits for the network."""

    def watch():
        poll = select.poll()
        poll.register(fd, 0)
        poll.poll()
        os._exit(141)

    threading.Thread(target=watch, daemon=True).start()
