"""Text files that are there whole or not at all, as the programs write theirs (lib/io/commit.h)."""

import os
import secrets


def write(path, text):
    """The text under its name in one step. A temporary that a killed process leaves is one that tidy.py knows."""
    folder, name = os.path.split(path)
    os.makedirs(folder or ".", exist_ok=True)
    draft = os.path.join(folder, f".{name}.{os.getpid()}-{secrets.token_hex(8)}.tmp")
    try:
        with open(draft, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        if os.path.exists(draft):
            os.unlink(draft)
        raise
