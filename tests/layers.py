"""The laws of the layers (docs/architecture.md), read off the sources. Prints what breaks them, with status 1."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAY_USE = {"core": {"core"}, "ops": {"core", "ops"}, "io": {"core", "io"}, "load": {"core", "ops", "load"}}
# The same of the workflow's Python, rules/*/*.py.
RULES_MAY_USE = {
    "configuration": set(),
    "dataset": {"configuration"},
    "operate": set(),
    "fetch": {"configuration", "dataset", "operate"},
    "report": {"operate"},
}
# What reads numbers loosely (blanks in front, rubbish behind, silent overflow) or by the locale.
PARSER = "lib/core/parse.c"
NUMBER_READERS = re.compile(r"\b(ato(?:i|l|ll|f)|strto[a-z]+|wcsto[a-z]+|v?[fsw]*scanf)\s*\(")
LONGEST = 600  # lines; a file holds one thing


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda m: "\n" * m.group().count("\n"), text, flags=re.S)


def broken():
    hdf5, inflate = [], []
    for path in sorted((ROOT / "lib").rglob("*.[ch]")) + sorted((ROOT / "bin-src").glob("*.[ch]")):
        name = path.relative_to(ROOT)
        text = path.read_text()
        code = without_comments(text)
        layer = name.parts[1] if name.parts[0] == "lib" else None
        for line, include in ((m.start(), m.group(1)) for m in re.finditer(r'#\s*include\s*[<"]([^>"]+)[>"]', code)):
            where = f"{name}:{code[:line].count(chr(10)) + 1}"
            if include in ("hdf5.h", "H5public.h"):
                hdf5.append(name)
            if "igzip_lib" in include or include == "zlib.h":
                inflate.append(name)
            top = include.split("/")[0]
            if layer and top in MAY_USE and top not in MAY_USE[layer]:
                yield f"{where}: {layer} includes {include}"
            if layer and include in ("cli.h", "clean.h", "masks.h", "scans.h", "spool.h"):
                yield f"{where}: the library includes a program's header"
        if layer:
            for m in re.finditer(r"\b(printf|fprintf|puts|perror|exit|abort|_exit)\s*\(", code):
                yield f"{name}:{code[: m.start()].count(chr(10)) + 1}: the library prints or exits ({m.group(1)})"
        for m in re.finditer(r"\b(strcpy|strcat|sprintf|vsprintf|gets|system|popen|rand|srand|alloca)\s*\(", code):
            yield f"{name}:{code[: m.start()].count(chr(10)) + 1}: {m.group(1)} is banned"
        for m in () if str(name) == PARSER else NUMBER_READERS.finditer(code):
            yield (
                f"{name}:{code[: m.start()].count(chr(10)) + 1}: {m.group(1)}: numbers are read by {PARSER}, strictly"
            )
        if text.count("\n") > LONGEST:
            yield f"{name}: {text.count(chr(10))} lines"
    if [str(p) for p in hdf5] != ["lib/io/hdf5_private.h"]:
        yield f"hdf5.h is included by {', '.join(map(str, hdf5))}"
    if not {str(p) for p in inflate} <= {"lib/io/inflate.c", "lib/io/gzwrite.c"}:
        yield f"inflate libraries are included by {', '.join(map(str, inflate))}"


def broken_in_rules():
    for path in sorted((ROOT / "rules").rglob("*.py")):
        name, text = path.relative_to(ROOT), path.read_text()
        folder = name.parts[1]
        for m in re.finditer(r"^\s*(?:from|import) (\w+)", text, re.M) if folder in RULES_MAY_USE else ():
            if m[1] in RULES_MAY_USE.keys() - RULES_MAY_USE[folder] - {folder}:
                yield f"{name}:{text[: m.start(1)].count(chr(10)) + 1}: {folder} imports {m[1]}"
        if "sys.path" in text:
            yield f"{name}: sys.path is not to be touched"
        if text.count("\n") > LONGEST:
            yield f"{name}: {text.count(chr(10))} lines"


if __name__ == "__main__":
    found = [*broken(), *broken_in_rules()]
    print("\n".join(found))
    sys.exit(bool(found))
