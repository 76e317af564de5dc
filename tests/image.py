"""Runs what the container recipes run in a fresh Debian 12 of its own: `make image-check` (as root; minutes).

There is no container engine in it: debootstrap fills a folder, packaging/image.sh works in it by chroot, and then
the workflow runs there as a user without a name, with the folders that the recipes' pages mount. What apt and pip are
told on this machine (mirrors, certificates, local packages) holds inside too.

--buildah also builds the Dockerfile itself, on top of the same Debian (buildah with chroot isolation, no registry).
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CERTIFICATES = "/etc/certificates-of-the-test.crt"
PASSED = re.compile(r"^(PIP_|SSL_|CURL_CA|REQUESTS_CA|https?_proxy|no_proxy)", re.I)


def say(text):
    print(f"== {text}", flush=True)


def call(*command, **how):
    return subprocess.run([str(word) for word in command], check=True, **how)


def mirror():
    """Where this machine has its Debian from."""
    texts = [p.read_text() for p in Path("/etc/apt/sources.list.d").glob("*.sources")]
    texts += [Path("/etc/apt/sources.list").read_text()] if Path("/etc/apt/sources.list").exists() else []
    match = re.search(r"^(?:URIs: *|deb (?:\[[^]]*\] )?)(\S+)", "\n".join(texts), re.M)
    return match[1] if match else None


def debian(folder):
    """A minimal Debian 12 in the folder, which knows what this machine knows about mirrors."""
    call("debootstrap", "--variant=minbase", "bookworm", folder, *filter(None, [mirror()]), stdout=subprocess.DEVNULL)
    (folder / "etc/apt/sources.list").unlink(missing_ok=True)
    for name in ("etc/apt/sources.list.d/debian.sources", "etc/ssl/certs/ca-certificates.crt"):
        if Path("/", name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path("/", name), folder / name)
    for path in Path("/etc/apt/apt.conf.d").glob("*"):
        if "Proxy" in path.read_text() or "CaInfo" in path.read_text() or "registry" in path.name:
            shutil.copy(path, folder / "etc/apt/apt.conf.d")
    shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
    if Path("/etc/ssl/certs/ca-certificates.crt").exists():  # where the package ca-certificates leaves it alone
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", folder / CERTIFICATES[1:])
        (folder / "etc/pip.conf").write_text(f"[global]\ncert = {CERTIFICATES}\n")


def passed():
    """What pip is told on this machine, with the certificates where `debian` puts them."""
    return {k: CERTIFICATES if v.endswith(".crt") else v for k, v in os.environ.items() if PASSED.match(k)}


def package_folders():
    """Folders of this machine that pip is told to take packages from."""
    told = call(sys.executable, "-m", "pip", "config", "list", capture_output=True, text=True).stdout
    named = {path.removesuffix("/simple") for path in re.findall(r"(?:file://|')(/[^\s']+)", told)}
    return sorted(path for path in named if Path(path).is_dir())


class Place:
    """A folder as root, with what containers have mounted."""

    def __init__(self, folder, stack):
        self.folder = folder
        self.env = passed()
        for what in ("/proc", "/dev", *package_folders()):
            there = folder / what[1:]
            there.mkdir(parents=True, exist_ok=True)
            call("mount", "--bind", what, there)
            stack.callback(call, "umount", "-l", there)

    def run(self, *command, user=None, cwd="/", **env):
        who = ["--userspec", f"{user}:{user}"] if user else []
        inner = [
            "env",
            "-i",
            *(f"{k}={v}" for k, v in (self.env | env).items()),
            "sh",
            "-c",
            'cd "$0" && exec "$@"',
            cwd,
        ]
        call("chroot", *who, self.folder, *inner, *command)


def sources(folder):
    """The committed tree, as the recipes copy it."""
    folder.mkdir(parents=True)
    made = subprocess.Popen(["git", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE)
    call("tar", "-x", "-C", folder, stdin=made.stdout)
    if made.wait():
        raise SystemExit("image-check: this is no clone")


def environment():
    """What the Dockerfile sets."""
    text = (ROOT / "Dockerfile").read_text()
    return dict(word.split("=", 1) for line in re.findall(r"^ENV (.*)$", text, re.M) for word in line.split())


def as_a_user(place, image):
    """The Dockerfile's own example, as a user that the image does not know."""
    work = place.folder / "srv"
    for old in (work, image / "cache"):
        shutil.rmtree(old, ignore_errors=True)
    work.mkdir()
    os.chown(work, 4711, 4711)
    env = environment()
    size = ["--dims", "12,13,11", "--sessions", "1", "--runs", "2"]
    place.run("synthnsd", "--quiet", *size, "nsd", user=4711, cwd="/srv", **env)
    snakemake = ["snakemake", "-s", "/opt/boldmill/Snakefile", "-j2", "--config", "root=/srv/nsd"]
    place.run(*snakemake, "--", "cache/subj01/general.fmri.npy", user=4711, cwd="/srv", **env)
    place.run("boldinfo", "--verify", "cache/subj01/general.json", user=4711, cwd="/srv", **env)
    shutil.copytree(work / "cache", image / "cache")


def same_as_here(image):
    """The arrays of the image are those of this machine."""
    with tempfile.TemporaryDirectory() as folder:
        size = ["--dims", "12,13,11", "--sessions", "1", "--runs", "2"]
        call(ROOT / "bin/synthnsd", "--quiet", *size, "nsd", cwd=folder)
        command = [Path(sys.prefix) / "bin/snakemake", "-s", ROOT / "Snakefile", "-j2", "--quiet", "all"]
        call(*command, "--config", "root=nsd", "--", "cache/subj01/general.fmri.npy", cwd=folder)
        for name in ("general.fmri.npy", "general.meta.npy"):
            here, there = (Path(p, "cache/subj01", name).read_bytes() for p in (folder, image))
            assert here == there, f"{name} differs from what this machine makes"


def buildah(debian_folder):
    """The Dockerfile by buildah, its base image made of our Debian."""
    base = "localhost/debian:12-slim"
    made = call("buildah", "from", "scratch", capture_output=True, text=True).stdout.strip()
    call("buildah", "add", "-q", made, debian_folder, "/")
    call("buildah", "commit", "-q", made, base)
    words = [f"--volume={p}:{p}:ro" for p in package_folders()]
    given = [f"--env={k}={v}" for k, v in passed().items()]
    call(
        "buildah",
        "build",
        "--isolation",
        "chroot",
        "--network",
        "host",
        f"--build-arg=BASE={base}",
        *words,
        *given,
        "-t",
        "boldmill",
        ROOT,
    )


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--folder", type=Path, help="where to work; kept")
    args.add_argument("--buildah", action="store_true", help="build the Dockerfile too")
    args = args.parse_args()
    if os.geteuid() or not shutil.which("debootstrap"):
        raise SystemExit("image-check: needs root, and debootstrap (apt-get install debootstrap)")
    with ExitStack() as stack:
        top = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="boldmill-image-")))
        rootfs, begun = top / "debian", time.monotonic()
        if not (rootfs / "etc").exists():
            say("a fresh Debian 12")
            debian(rootfs)
        shutil.rmtree(rootfs / "opt/boldmill", ignore_errors=True)
        if args.buildah:
            say("the Dockerfile, by buildah")
            buildah(rootfs)
        sources(rootfs / "opt/boldmill")
        with ExitStack() as mounts:
            place = Place(rootfs, mounts)
            place.run("packaging/image.sh", cwd="/opt/boldmill", PATH="/usr/sbin:/usr/bin:/sbin:/bin", HOME="/root")
            say("the workflow, as a user without a name")
            as_a_user(place, top)
        same_as_here(top)
        used = subprocess.run(["du", "-smx", rootfs], capture_output=True, text=True, check=True).stdout.split()[0]
        say(f"the same arrays as outside; {used} MB, {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
