"""One object to standard output."""

import json
import os

from fetch import transfer
from fetch.bucket import Bucket, Object, Trouble


def stream(url, settings, listing, tally=None):
    """What nifti2h5 calls for each run: `settings` are the section remote, `listing` the file that knows the size and
    the ETag that the object had when the last fetch saw it, or None. In `tally` each that has come is noted."""
    bucket = Bucket(settings)
    head = f"s3://{bucket.name}/"
    if not url.startswith(head):
        raise Trouble(f"{url}: is not in the bucket {head}; correct the url")
    key = url[len(head) :]
    transfer.end_with_reader(1)
    wanted = bucket.head(key) if not listing else expected(listing, key)
    transfer.to_pipe(bucket, key, wanted, 1, transfer.Meter())
    if tally:
        with open(tally, "a", encoding="ascii") as file:
            file.write(f"{wanted.size}\n")
    return 0


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
