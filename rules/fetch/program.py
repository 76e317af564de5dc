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
import json
import os
import signal
import sys

from fetch.bucket import Changed, Stopped, Trouble
from fetch.stream import stream
from fetch.together import say
from operate import whole

EXAMPLES = """examples:
  fetch --configfile nsd.yaml --dry-run                 what would be fetched, and how much it is
  fetch --configfile nsd.yaml                           fetch it
  fetch --configfile nsd.yaml --config subjects=1,2     only these
  fetch --configfile nsd.yaml --verify                  read all of it again and compare
  make fetch ARGS='--configfile nsd.yaml --dry-run'     the same from the folder of boldmill
"""


def settings_given(text):
    """JSON, in a file or as it is; "-" is standard input."""
    if text == "-":
        return json.load(sys.stdin)
    if text.lstrip().startswith("{"):
        return json.loads(text)
    with open(text, encoding="utf-8") as file:
        return json.load(file)


def given(args):
    """The configuration by the command line, before presets and defaults."""
    import yaml

    from configuration import presets

    if args.settings:
        return settings_given(args.settings)
    whole = {}
    for path in args.configfile or (["config.yaml"] if os.path.exists("config.yaml") else []):
        try:
            with open(path, encoding="utf-8") as file:
                whole = presets.merged(whole, yaml.safe_load(file) or {})
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise Trouble(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    for pair in args.config:
        key, equals, value = pair.partition("=")
        if not equals:
            raise Trouble(f"--config {pair}: is not KEY=VALUE; write e.g. subjects=1,2")
        value = yaml.safe_load(value) if value.startswith(("{", "[")) else value
        whole = presets.merged(whole, {key: value})
    return whole


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
    add("--roi", nargs="+", metavar="NAME", help="of these ROIs alone: of rois, or volumes of the dataset")
    add("--wait", action="store_true", help="wait for another fetch into the same root")
    add("--quiet", "-q", action="store_true", help="no progress")
    add(
        "--every", type=float, default=60, metavar="SECONDS", help="between lines of progress, but on a terminal [60]"
    )
    add(
        "--stdout",
        metavar="URL",
        help="write one object to standard output; its end is held back until it is checked",
    )
    add("--settings", metavar="JSON", help="all settings (with --stdout: of remote) as JSON, a file of it, or -")
    add("--expect", metavar="FILE", help=argparse.SUPPRESS)
    add("--tally", metavar="FILE", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.stdout and not args.settings:
        parser.error("--stdout needs --settings")
    return args


def work(args):
    if args.stdout:
        return stream(args.stdout, settings_given(args.settings), args.expect, args.tally)
    from fetch.download import Fetch

    with Fetch(configured(args), args) as fetch:
        return fetch.run()


def interrupted(number, frame):
    raise KeyboardInterrupt(number)


def main(argv=None):
    signal.signal(signal.SIGTERM, interrupted)
    try:
        status = work(parse(argv))
        with whole.named("standard output"):
            sys.stdout.flush()
    except (Trouble, Stopped, Changed) as trouble:
        say(trouble)
        status = 1
    except BrokenPipeError:
        status = 141  # nobody reads any more
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        say(f"{where}{error.strerror or error}; mend it and run it again, it goes on there")
        status = 1
    except KeyboardInterrupt as why:
        say("interrupted; what was begun is gone on with by the next call")
        status = 128 + int(why.args[0]) if why.args else 130
    os._exit(status)  # threads that still wait for the network have nothing to put in order
