"""What a bucket holds, as far as it was asked for: live, with small files fetched on demand, or as the last fetch
wrote it down for the workflow.

ROOT/.fetch/ holds listing.json (folders and objects as they were), done.jsonl (one line for each file that was
fetched and checked) and the lock of the fetch that is at work.
"""

import json
import os

from dataset.files import Tree
from fetch.bucket import Object
from operate import whole

FOLDER = ".fetch"


def place(root, name):
    return os.path.join(root, FOLDER, name)


class Live:
    """The bucket itself. `fetch_now(paths)` sees to it that these files can be read, `where(path)` tells where."""

    def __init__(self, root, bucket):
        self.root, self.bucket = os.path.join(root, ""), bucket
        self.folders = {}
        self.tree = Tree(root, self.listed)
        self.glob, self.exists = self.tree.glob, self.tree.exists
        self.asked = {}  # files whose content was wanted, in order
        self.fetch_now = self.where = None

    def key(self, path):
        return self.bucket.prefix + path[len(self.root) :]

    def listed(self, folder):
        if folder not in self.folders:
            self.folders[folder] = self.bucket.listed(self.key(folder))
        return self.folders[folder]

    def object(self, path):
        folder, name = os.path.split(path)
        return self.listed(os.path.join(folder, ""))[1][name]

    def replace(self, path, found):
        """The object has changed since it was listed."""
        folder, name = os.path.split(path)
        self.listed(os.path.join(folder, ""))[1][name] = found

    def ready(self, paths):
        new = [path for path in paths if path not in self.asked]
        self.fetch_now(new)
        self.asked |= dict.fromkeys(new)

    def local(self, path):
        self.ready([path])
        return self.where(path)

    def save(self):
        content = {
            folder[len(self.root) :]: {"folders": folders, "files": {name: list(o) for name, o in files.items()}}
            for folder, (folders, files) in sorted(self.folders.items())
        }
        url = f"s3://{self.bucket.name}/{self.bucket.prefix}"
        whole.write(place(self.root, "listing.json"), json.dumps({"url": url, "listed": content}, indent=0))


class Saved:
    """What the last fetch saw, for the workflow. Nothing is asked of the bucket."""

    def __init__(self, root, url, wrong):
        self.root, self.url, self.wrong = os.path.join(root, ""), url, wrong
        self.content = None
        self.tree = Tree(root, self.listed)
        self.glob, self.exists = self.tree.glob, self.tree.exists

    def load(self):
        path = place(self.root, "listing.json")
        try:
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
        except FileNotFoundError:
            raise self.wrong(f"{self.root}: nothing was fetched from {self.url} yet; {HOW}") from None
        except (OSError, ValueError) as error:
            raise self.wrong(f"{path}: cannot be read ({error}); {HOW} again") from None
        if content["url"].rstrip("/") != self.url.rstrip("/"):
            raise self.wrong(f"{self.root}: was fetched from {content['url']}, not from {self.url}; {HOW}")
        return content["listed"]

    def entry(self, folder):
        if self.content is None:
            self.content = self.load()
        found = self.content.get(folder[len(self.root) :])
        if found is None:
            raise self.wrong(f"{folder}: was not looked at by the last fetch; settings have changed, {HOW} again")
        return found

    def listed(self, folder):
        entry = self.entry(folder)
        return entry["folders"], entry["files"]

    def url_of(self, path):
        return f"{self.url.rstrip('/')}/{path[len(self.root) :]}"

    def object(self, path):
        folder, name = os.path.split(path)
        return Object(*self.entry(os.path.join(folder, ""))["files"][name])

    def local(self, path):
        raise self.wrong(f"{path}: is in the bucket and not here; {HOW}")

    def ready(self, paths):
        pass


HOW = "run `make fetch` (or `snakemake fetch`)"


class Journal:
    """Which files were fetched, and how they were checked. A line is written when a file has its final name."""

    def __init__(self, root):
        self.root, self.path = os.path.join(root, ""), place(root, "done.jsonl")
        self.known, self.begin = {}, ""
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8", errors="replace") as file:
                for line in file:
                    self.take(line)
                    self.begin = "" if line.endswith("\n") else "\n"

    def take(self, line):
        """A line that was cut off by a crash tells nothing."""
        try:
            entry = json.loads(line)
            self.known[entry["path"]] = entry
        except (ValueError, KeyError, TypeError):
            return

    def find(self, path):
        return self.known.get(path[len(self.root) :])

    def add(self, path, found, md5, how):
        entry = {"path": path[len(self.root) :], "size": found.size, "etag": found.etag, "md5": md5, "checked": how}
        whole.make_folder(os.path.dirname(self.path))
        with whole.named(self.path), open(self.path, "a", encoding="utf-8") as file:
            file.write(self.begin + json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.known[entry["path"]], self.begin = entry, ""
