"""What a job asks a cluster for: memory in MB and run time in minutes, from the sizes of its inputs. Each further
attempt asks for twice as much. docs/cluster.md has the measurements behind the figures."""

import os

STEP = 128


def sizes(files):
    """Bytes of each of the files that are there; of a dry run's, some are not yet."""
    return [os.path.getsize(file) for file in files if os.path.exists(file)]


def memory(least, per_largest=0):
    """`least` MB, and so many MB for each MB of the largest input; in steps, so that like sessions ask alike."""

    def mem_mb(wildcards, input, attempt):
        largest = max(sizes(input), default=0) / 1e6
        return round((least + per_largest * largest) / STEP) * STEP * 2 ** (attempt - 1)

    return mem_mb


def minutes(least, per_gb=0, besides=lambda wildcards: 0):
    """`least` minutes, and so many for each GB of all inputs and of the bytes that come from elsewhere."""

    def runtime(wildcards, input, attempt):
        size = sum(sizes(input)) + besides(wildcards)
        return round(least + per_gb * size / 1e9) * 2 ** (attempt - 1)

    return runtime
