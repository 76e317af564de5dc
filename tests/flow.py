"""Runs the workflow in a directory of a test's own."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from conftest import BIN, PATIENCE, ROOT

JOB = re.compile(r"^(?:local)?rule (\w+):$.*?^    output: ([^,\n]+)", re.MULTILINE | re.DOTALL)


@dataclass
class Done:
    status: int
    text: str

    @property
    def jobs(self):
        """Each job as (rule, its first output without folder), `all` left out; of a dry run, those it would do."""
        return sorted((rule, Path(output).name) for rule, output in JOB.findall(self.text))


@dataclass
class Flow:
    """`flow(targets...)` must succeed, `flow.fails(...)` must not. `config` and keywords go to --config."""

    folder: Path
    config: dict = field(default_factory=dict)
    configfile: Path | None = None
    bin: Path = BIN
    env: dict = field(default_factory=lambda: ENV)

    def command(self, *targets, options=(), **config):
        settings = {"bin": str(self.bin), **self.config, **config}
        files = ["--configfile", str(self.configfile)] if self.configfile else []
        snakemake = [
            sys.executable,
            "-m",
            "snakemake",
            "-s",
            str(ROOT / "Snakefile"),
            "--directory",
            str(self.folder),
        ]
        given = [f"{key}={v if isinstance(v, str) else json.dumps(v)}" for key, v in settings.items()]
        return [*snakemake, "-j2", *options, *files, "--config", *given, "--", *map(str, targets)]

    def any(self, *targets, options=(), **config):
        command = self.command(*targets, options=options, **config)
        pipe, limit = subprocess.PIPE, 180 * PATIENCE
        done = subprocess.run(
            command, check=False, stdout=pipe, stderr=subprocess.STDOUT, timeout=limit, env=self.env
        )
        return Done(done.returncode, done.stdout.decode(errors="replace"))

    def __call__(self, *targets, **how):
        done = self.any(*targets, **how)
        assert done.status == 0, done.text
        return done

    def plan(self, *targets, **config):
        """The jobs that a dry run announces."""
        return self(*targets, options=["-n"], **config).jobs

    def fails(self, *targets, says=(), **how):
        done = self.any(*targets, **how)
        assert done.status != 0, done.text
        for words in [says] if isinstance(says, str) else says:
            assert words in done.text, f"{words!r} is not in: {done.text}"
        return done

    def path(self, name):
        return self.folder / name

    def bytes(self, name):
        return self.path(name).read_bytes()


ENV = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE_", "MAKE"))}
