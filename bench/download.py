"""What a download costs this machine: CPU seconds, from a server on it (so the network costs nothing).

    .venv/bin/python bench/download.py build/bench/nsd      # a tree by synthnsd, for example that of `make bench`

Prints, for the first runs of session 1: the download, a second call, --verify, and nifti2h5 cutting an ROI from the
files and from the bucket.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from s3server import KEYS

ROOT = Path(__file__).resolve().parent.parent
RUNS = 3


def measured(what, command):
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(list(map(str, command)), check=True, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{what:12s} {cpu:6.2f} s CPU {time.monotonic() - begun:7.2f} s", flush=True)


def upload(tree):
    """The files of the first runs in a bucket; (moto's server, settings of remote, their bytes)."""
    import boto3
    from moto.server import ThreadedMotoServer

    moto, size = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False), 0
    moto.start()
    endpoint = f"http://127.0.0.1:{moto.get_host_and_port()[1]}"
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **KEYS)
    client.create_bucket(Bucket="bench", ACL="public-read")
    runs = [path for run in range(1, RUNS + 1) for path in tree.rglob(f"*_session01_run{run:02d}.*")]
    for path in [*runs, *tree.rglob("roi/nsdgeneral.nii.gz")]:
        client.put_object(Bucket="bench", Key=str(path.relative_to(tree)), Body=path.read_bytes(), ACL="public-read")
        size += path.stat().st_size
    return moto, {"url": "s3://bench", "endpoint": endpoint, "anonymous": True}, size


def bench(tree, folder):
    _, remote, size = upload(tree)
    root = folder / "nsd"
    config = {"root": str(root), "subjects": 1, "sessions": 1, "remote": remote}
    print(f"{RUNS} runs, {size / 1e6:.0f} MB with what belongs to them, {os.cpu_count()} cores", flush=True)
    fetch = [sys.executable, ROOT / "rules", "fetch", "--quiet", "--settings", json.dumps(config)]
    measured("download", fetch)
    measured("again", fetch)
    measured("--verify", [*fetch, "--verify"])
    runs = sorted(root.rglob("timeseries_session*"))
    cut = [ROOT / "bin/nifti2h5", "--threads", 2, "--mask", next(root.rglob("nsdgeneral.nii.gz"))]
    measured("from files", [*cut, *runs, folder / "files.npys"])
    settings = {"profile": None, "region": None, "bandwidth": None, "parallel": 8, "retries": 8, "pause": 0.5}
    words = [*fetch[:2], "--settings", json.dumps({**settings, "timeout": 60, **remote}), "--stdout"]
    names = [f"s3://bench/{path.relative_to(root)}" for path in runs]
    measured("streamed", [*cut, *(f"--reader={word}" for word in words), "--", *names, folder / "stream.npys"])


if __name__ == "__main__":
    if len(sys.argv) != 2 or not os.path.isdir(sys.argv[1]):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        bench(Path(sys.argv[1]), Path(folder))
    os._exit(0)
