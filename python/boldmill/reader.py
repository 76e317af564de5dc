"""A thread that makes things in advance, and an iterator over them that may be dropped at any time."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from .errors import UsageError


class _Queue:
    """What the thread and the iterator share. Neither refers to the other."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.pid = os.getpid()
        self.changed = threading.Condition()  # of an RLock: a finalizer may run inside
        self.made: deque[Any] = deque()
        self.error: BaseException | None = None
        self.stopped = self.ended = False

    def stop(self) -> None:
        """Ends the thread. Nothing in a forked child, where the lock may be held by a thread that is not there."""
        if self.pid != os.getpid():
            return
        with self.changed:
            self.stopped = True
            self.made.clear()
            self.changed.notify_all()

    def wait_for_room(self) -> bool:
        """False once nobody wants more."""
        with self.changed:
            while not self.stopped and len(self.made) >= self.length:
                self.changed.wait()
            return not self.stopped

    def put(self, thing: Any) -> None:
        with self.changed:
            if not self.stopped:
                self.made.append(thing)
                self.changed.notify_all()

    def end(self, error: BaseException | None) -> None:
        with self.changed:
            self.ended, self.error = True, error
            self.changed.notify_all()

    def get(self) -> Any:
        """The next thing; StopIteration behind the last, or the thread's exception."""
        with self.changed:
            while not self.made and not self.ended:
                self.changed.wait()
            if self.made:
                thing = self.made.popleft()
                self.changed.notify_all()
                return thing
            if self.error is not None:
                error, self.error = self.error, None
                raise error
            raise StopIteration


_running: weakref.WeakKeyDictionary[threading.Thread, _Queue] = weakref.WeakKeyDictionary()


def _stop_all() -> None:
    """At the end of the program no thread may be inside the core any more."""
    for thread, queue in list(_running.items()):
        queue.stop()
        if queue.pid == os.getpid():
            thread.join(10)


atexit.register(_stop_all)


def _work(queue: _Queue, make: Callable[[], Iterator[Any]]) -> None:
    error: BaseException | None = None
    things: Iterator[Any] | None = None
    try:
        things = make()
        while queue.wait_for_room() and (thing := next(things, _END)) is not _END:
            queue.put(thing)
            del thing  # the queue alone holds it now
    except BaseException as caught:  # noqa: B902 - it is raised again where the things are taken
        error = caught
    del things
    queue.end(error)


_END = object()


class Reader:
    """Iterates over make(), whose things are made by a thread, at most `ahead` of them in advance.

    An exception of the thread is raised when all that was made before it has been taken. Dropping the iterator ends
    the thread. A forked child has no thread, and is told so.
    """

    def __init__(self, make: Callable[[], Iterator[Any]], ahead: int) -> None:
        self._queue = _Queue(ahead)
        thread = threading.Thread(target=_work, args=(self._queue, make), name="boldmill reader", daemon=True)
        _running[thread] = self._queue
        self.close = weakref.finalize(self, self._queue.stop)
        thread.start()

    def __iter__(self) -> Reader:
        return self

    def __next__(self) -> Any:
        if self._queue.pid != os.getpid():
            raise UsageError("Loader: this iterator belongs to the parent process; call iter(loader) in the child")
        return self._queue.get()
