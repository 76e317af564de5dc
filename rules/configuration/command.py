"""Command lines: options and pipelines as text for the shell."""

import shlex

from configuration.values import listed


def options(**settings):
    """Options of a program, quoted for the shell: order=1 is --order=1, a list repeats the option, True is a flag,
    and None or False leaves it out."""
    words = []
    for name, value in settings.items():
        option = f"--{name.replace('_', '-')}"
        words += [option] if value is True else [f"{option}={item}" for item in listed(value) if item is not False]
    return shlex.join(words)


def stages(*commands):
    """The middle of a pipeline: a pipe after each command, commands that are empty left out."""
    return " ".join(f"{command} |" for command in commands if command)


def stage(name, given, threads=True):
    """One program in the middle of a pipeline; its number of threads is the shell's $threads."""
    return " ".join(filter(None, [name, "--threads $threads" * threads, options(**given), "- -"]))
