"""What a loss of power may leave of an output: `make power`.

Each call of the fault campaign runs once, and what it does to files is recorded (tests/faults/shim.c). Then every
state is built in which the disk may be found when the power fails after the first, second, ... of these operations.
Of a file, what was synchronised is there. Of what was written since, all may be there or nothing, the last write may
be torn, the length may be there without the bytes (zeros), or any part of the writes. Of a folder, the names made,
changed and removed since it was synchronised may be there in any combination; a folder that is not there has none.

In each state an output that is there must be complete: the new one, or the old one where one was there before. In the
states after the end of the program all of them are there. Of outputs that belong together, new and old ones may
stand side by side; then `boldinfo --verify` must say so.
"""

import argparse
import collections
import itertools
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from campaign import FAST, ROOT, Campaign, cases  # noqa: E402

MANY = 4  # names that are not safe yet, of which every combination is tried
FOLDER = "folder"  # in place of an inode


class Disk:
    """Files by inode, names by path; what is safe and what is not. `root` is a folder that is there."""

    def __init__(self, old, root):
        self.root = root
        self.names, self.loose = {}, []  # path -> inode; changes of names since their folder was synchronised
        self.safe, self.since = {}, collections.defaultdict(list)  # inode -> bytes; writes since
        self.folders = {}  # inode -> path
        for k, (path, data) in enumerate(old.items()):
            self.names[path], self.safe[-1 - k] = -1 - k, data

    def do(self, line, data):
        what, _, rest = line.partition(" ")
        if what == "create":
            inode, path = rest.split(" ", 1)
            if self.now().get(path) != int(inode):
                self.safe[int(inode)], self.since[int(inode)] = b"", []
                self.loose.append((path, int(inode)))
        elif what == "write":
            inode, offset, n = map(int, rest.split())
            self.since[inode].append((offset, data.read(n)))
        elif what == "truncate":
            inode, length = map(int, rest.split())
            self.since[inode].append((length, None))
        elif what == "sync":
            self.sync(int(rest.split()[0]))
        elif what == "rename":
            old, new = rest.split("\t")
            self.loose.append((new, self.now()[old]))
            self.loose.append((old, None))
        elif what == "unlink":
            self.loose.append((rest, None))
        elif what == "mkdir":
            self.loose.append((rest, FOLDER))

    def now(self):
        return with_changes(self.names, self.loose)

    def sync(self, inode):
        if inode in self.safe:
            self.safe[inode] = after(self.safe[inode], self.since.pop(inode, []))
            return
        folder = self.folders.get(inode)
        mine = [change for change in self.loose if str(Path(change[0]).parent) == folder]
        self.names = with_changes(self.names, mine)
        self.loose = [change for change in self.loose if change not in mine]

    def states(self, chance):
        """{path: bytes} for each way in which the disk may be found."""
        for names in self.trees():
            there = {path: inode for path, inode in names.items() if self.reached(path, names)}
            for how in ("nothing", "all", "torn", "zeros", "some"):
                yield {path: self.content(inode, how, chance) for path, inode in there.items()}

    def reached(self, path, names):
        """Is it a file whose folders are all there?"""
        above = itertools.takewhile(lambda folder: folder != self.root, map(str, Path(path).parents))
        return names[path] != FOLDER and all(names.get(folder) == FOLDER for folder in above)

    def trees(self):
        """A rename is one change of two names: both or neither (first the new name, then the old one goes)."""
        changes = paired(self.loose)
        if len(changes) <= MANY:
            subsets = itertools.chain.from_iterable(
                itertools.combinations(changes, k) for k in range(len(changes) + 1)
            )
        else:
            subsets = [changes[:k] for k in range(len(changes) + 1)] + [[change] for change in changes]
        for subset in subsets:
            yield with_changes(self.names, [step for change in subset for step in change])

    def content(self, inode, how, chance):
        safe, writes = self.safe[inode], self.since.get(inode, [])
        if how == "nothing" or not writes:
            return safe
        if how == "torn":
            offset, data = writes[-1]
            writes = [*writes[:-1], (offset, data[: len(data) // 2] if data else data)]
        elif how == "zeros":
            writes = [(offset, bytes(len(data)) if data else data) for offset, data in writes]
        elif how == "some":
            writes = [write for write in writes if chance.random() < 0.5]
        return after(safe, writes)


def paired(loose):
    """Changes that reach the disk together."""
    found = []
    for path, inode in loose:
        if inode is None and found and found[-1][0][1] is not None and len(found[-1]) == 1:
            found[-1] = (*found[-1], (path, None))
        else:
            found.append(((path, inode),))
    return found


def with_changes(names, changes):
    names = dict(names)
    for path, inode in changes:
        if inode is None:
            names.pop(path, None)
        else:
            names[path] = inode
    return names


def after(data, writes):
    data = bytearray(data)
    for offset, piece in writes:
        if piece is None:
            data[offset:] = bytes(max(0, offset - len(data)))
        else:
            data.extend(bytes(max(0, offset - len(data))))
            data[offset : offset + len(piece)] = piece
    return bytes(data)


class Power:
    def __init__(self, campaign, chance):
        self.campaign, self.chance = campaign, chance
        self.tally, self.bad = collections.Counter(), []

    def record(self, case, out, log):
        """Runs the case with its outputs in `out`; the lines of the record, the bytes, and the folders' inodes."""
        for name in case.folders:
            (out / name).mkdir()
        command = [word.replace("{out}", str(out)) for word in self.campaign.command(case)]
        env = {key: value.replace("{out}", str(out)) for key, value in self.campaign.env(case).items()}
        env |= {"FAULT_LOG": str(log), "FAULT_UNDER": str(out)}
        subprocess.run(command, env=env, check=True, capture_output=True)
        folders = {path.stat().st_ino: str(path) for path in [out, *out.rglob("*")] if path.is_dir()}
        return log.read_text().splitlines(), open(f"{log}.data", "rb"), folders

    def test(self, case, old=None):
        before, start = collections.Counter(self.tally), time.monotonic()
        with tempfile.TemporaryDirectory(dir=self.campaign.folder) as folder:
            out = self.root = Path(folder) / "out"
            out.mkdir()
            for name, data in (old or {}).items():
                (out / name).write_bytes(data)
            disk = Disk({str(out / name): data for name, data in (old or {}).items()}, str(out))
            lines, data, disk.folders = self.record(case, out, Path(folder) / "log")
            new = {str(path): path.read_bytes() for path in out.rglob("*") if path.is_file()}
            case.outputs = {str(Path(path).relative_to(out)): data for path, data in new.items()}
            known = {str(out / name): data for name, data in (old or {}).items()}
            tried = set()
            with data:
                for k, line in enumerate(lines):
                    disk.do(line, data)
                    for state in disk.states(self.chance):
                        self.judge(case, line, state, new, known, k + 1 == len(lines), tried)
        states = sum(self.tally.values()) - sum(before.values())
        name = f"{case.name}{' over old ones' if old else ''}"
        print(f"{name:40} {len(lines):5} operations {states:7} states {time.monotonic() - start:5.0f} s", flush=True)

    def judge(self, case, line, state, new, old, last, tried):
        """Temporaries (names that are no output's) may be there, with anything in them."""
        there = {path: data for path, data in state.items() if path in new}
        wrong = [path for path, data in there.items() if data not in (new[path], old.get(path))]
        wrong = [path for path in wrong if not case.is_whole(str(Path(path).relative_to(self.root)), there[path])]
        wrong += [path for path in old if path not in there]  # the old one is lost
        if wrong or (last and there != new):
            self.tally["WRONG"] += 1
            self.bad.append(f"{case.name}: after {line}: {wrong[:3] or 'not all outputs are there'}")
        elif there == new:
            self.tally["all new"] += 1
        elif there == old:
            self.tally["all old" if old else "none"] += 1
        elif not old:
            self.tally["some of several"] += 1
        else:
            self.tally["old and new, told by boldinfo" if self.tells(there, tried) else "WRONG"] += 1

    def tells(self, there, tried):
        """Does boldinfo find out that files of two calls stand side by side? Each such mix is tried once."""
        key = tuple(sorted((path, hash(data)) for path, data in there.items()))
        if key in tried:
            return True
        tried.add(key)
        with tempfile.TemporaryDirectory(dir=self.campaign.folder) as folder:
            for path, data in there.items():
                (Path(folder) / Path(path).name).write_bytes(data)
            described = [path for path in Path(folder).iterdir() if path.suffix == ".json"]
            command = [self.campaign.program("boldinfo"), "--verify", *map(str, described)]
            if described and subprocess.run(command, capture_output=True, check=False).returncode == 1:
                return True
        self.bad.append(f"a mix that boldinfo takes for whole: {[Path(path).name for path in there]}")
        return False


def old_outputs(campaign, case, *options):
    """What another call leaves under the same names."""
    with tempfile.TemporaryDirectory(dir=campaign.folder) as out:
        command = [word.replace("{out}", out) for word in case.command]
        subprocess.run([campaign.program(command[0]), *options, *command[1:]], check=True, capture_output=True)
        return {path.name: path.read_bytes() for path in Path(out).iterdir()}


# Options that give other outputs under the same names.
OTHER = {
    "concat a.fmri.npy": ("--dtype", "float16"),
    "boldqc quality.json": ("--order", "0", "--voxels", "7"),
    "shuffleidx a.npy": ("--seed", "9"),
    "shuffleidx b.npy": ("--seed", "9"),
}


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--bin", default=ROOT / "bin", help="the programs")
    args.add_argument("--shim", required=True, help="shim.so")
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--only", default="", help="programs whose name holds this text")
    args = args.parse_args()
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        campaign = Campaign(args, Path(folder))
        power = Power(campaign, random.Random(args.seed))
        for case in cases(Path(folder), campaign.program):
            if args.only in case.name and case.command[0] != "boldinfo" and case.name != "python reads":
                power.test(case)
                if case.name in OTHER:
                    power.test(case, old_outputs(campaign, case, *OTHER[case.name]))
    for line in power.bad[:50]:
        print(line)
    tally = power.tally
    print(", ".join(f"{outcome}: {n}" for outcome, n in sorted(tally.items())))
    print(f"{sum(tally.values()) - tally['WRONG']} passed, {tally['WRONG']} failed")
    return int(tally["WRONG"] > 0 or not tally)


if __name__ == "__main__":
    sys.exit(main())
