"""Writes the seed corpora of the fuzzers, tests/fuzz/corpus/TARGET/: small valid files, from which mutation starts.

    python tests/fuzz/seeds.py

They are kept in the tree; run this again when a format changes.
"""

import gzip
import io
import json
import subprocess
import sys
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from oracle import make_run, rows_of_design, sealed, write_stream  # noqa: E402

# In many targets the first byte says what is done, and what stands behind '#' is an option (fuzz_TARGET.c).
TEXTS = {
    "design": b"0\n12\n0\n0\n73000\n0\n",
    "events": b"onset\tduration\ttrial_type\n0\t3\tface\n4.5\t3\thouse\n9\tn/a\tn/a\n",
    "stimuli": b"onset\tduration\tstimulus\tx\n3e1\t1.5\t7\ta\n1\t0\t0\tb\n",
    "ctab": b"#1,3-5,V1v\n0 Unknown 0 0 0 0\n1 V1v 255 0 0 0\n2 V1d 0 255 0 0\n",
    "dseg": b"index\tname\tabbr\n1\tLeft Cortex\tlc\n2\tV1\tv\n#Left Cortex,2\n",
    "many": b"1\n" * 130,
    "nothing": b"onset\tduration\ttrial_type\nn/a\t1\tn/a\n2\t1\tcat\n",
    "levels": b"a\tb\n" + b"".join(b"l%d\t%d\n" % (k, k) for k in range(52)),
    "long": b"#none\n" + b"".join(b"%d label_no_%02d\n" % (k, k) for k in range(58)),
    "comma": b"#a,b\n1\ta,b\n",
    "two": b"#-3--1,b c\n-3\tb c\n1\ta\n\n5 5-6\n",
}
CHOICES = {"events": 8, "stimuli": 2, "nothing": 16} | dict.fromkeys(("ctab", "dseg", "two", "long", "comma"), 1)
CONFOUNDS = {
    "named": b"\x4f#trans_*\ntrans_x\trot_x\tframewise_displacement\n0.1\t0\tn/a\n0.2\t1e-3\t0.31\n",
    "censored": b"\x66#fd > 0.3\nfd,x\nn/a,1\n0.5,2\n0.1,inf\n0.2,\n",
    "numbers": b"\x27#1-2\n 0.1  2e-3 -4\n 1 2 3\n-1 .5 0\n",
    "expanded": b'\x1a#x,x_derivative1\n"x"\tx_derivative1\tx_power2\n1\tn/a\t1\n3\t2\t9\n',
    "taken": b"\x1f#x\nx\tx_derivative1\tx_power2\n1\tn/a\t1\n3\t2\t9\n",
    "gap": b"\x01#x\nx\n1\nn/a\n2\n",
    "less": b"\x40#x < 2\nx\n1\n2\n",
    "at_most": b"\x40#x<=2\nx\n1\n2\n",
    "equal": b"\x40#1=2\n1 1\n2 2\n",
    "unequal": b"\x40#x != 1e2\nx\nnan\n2\n",
    "none": b"\x07#none\nx\n2\n",
    "family": b"\x11#cosine0[0-2],!*\ncosine00\tcosine01\tcosine02\tcosine03\tcsf\n1\t2\t3\t4\t-nan\n",
    "mask": b"\x84#\n1\n1\n0\n1\n",
}
SPECS = {
    "at_least": b"memory:x.nii >= 2\n",
    "below": b"memory:x.nii < 1e3\n",
    "at_most": b"memory:x.nii <= 5\n",
    "number": b"memory:x.nii = 2.5\n",
    "above": b"memory:x.nii > 0.2\n",
    "names": b"memory:x_dseg.nii = V1v,3-5\n\n1 V1v 255 0 0 0\n2 V1d 0 255 0 0\n",
    "glob": b"ab[!c-]?\nabdef\n",
    "stars": b"*a*b?\naabab\n",
    "list": b"memory:x.nii\n" + b",".join(b"%d-%d" % (k, k + 9) for k in range(1, 12)) + b"\n",
    "entities": b"_".join([b"sub-1"] * 32) + b"_bold.nii\n",
    "entities33": b"_".join([b"sub-1"] * 33) + b"_bold.nii\n",
    "labels": b"memory:x.nii\n1,2-4\n",
    "not": b"memory:a = b.nii != 3\n7\n",
    "bids": b"sub-01_ses-2_task-rest_run-03_desc-[a-c]*_bold.nii.gz\nsub-01_ses-2_task-rest_run-03_desc-b_bold.nii\n",
    "nsd": b"/subj01/timeseries_session{session}_run{run:d}.nii.gz\n",
}


def nifti(cls, dtype, shape=(2, 1, 2, 3), order="<", slope=None, extension=0, values=None):
    data = (
        np.reshape(values, (2, 2, 2))
        if values
        else np.arange(np.prod(shape)).reshape(shape).astype(np.dtype(dtype).newbyteorder(order))
    )
    header = cls.header_class(endianness=order)
    header.set_data_dtype(data.dtype)
    image = cls(data, np.diag([2, 2, 2, 1]), header)
    image.header.set_zooms((2, 2, 2, 1.5)[: data.ndim])
    image.header.set_xyzt_units("mm", "sec")
    if slope:
        image.header.set_slope_inter(slope, 3)
    for _ in range(extension):
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"twelve bytes"))
    return image.to_bytes()


def gz(data, members=1):
    size = len(data) // members + 1
    return b"".join(gzip.compress(data[k : k + size], mtime=0) for k in range(0, len(data), size))


def nifti_seeds():
    one, two = nib.Nifti1Image, nib.Nifti2Image
    plain = nifti(one, "i2")
    pair = bytearray(plain[:348] + bytes(64))
    pair[344:348] = b"ni1\0"
    pair[108:112] = bytes(4)
    analyze = bytearray(pair)
    analyze[344:348] = b"\0i\0\0"
    wide = bytearray(nifti(one, "f8")[:352] + np.arange(24).astype(np.longdouble).tobytes())
    wide[70:74] = np.array([1536, 128], "<i2").tobytes()
    for k in range(352 + 10, len(wide), 16):
        wide[k : k + 6] = bytes(6)  # padding
    return {
        "i2": plain,
        "u1_3d": nifti(one, "u1", (2, 2, 2)),
        "f4_big": nifti(one, "f4", order=">"),
        "f8_scaled": nifti(one, "f8", slope=0.5),
        "n2": nifti(two, "i4"),
        "n2_big": nifti(two, "u2", order=">"),
        "extension": nifti(one, "i2", extension=1),
        "extensions": nifti(one, "i2", extension=9),
        "gz": gz(plain),
        "gz_members": gz(plain, 3),
        "pair": bytes(pair),
        "analyze": bytes(analyze),
        "wide": bytes(wide),
    }


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npy_seeds():
    cube = np.arange(12).reshape(2, 2, 3)
    kinds = {kind: npy(cube.astype(kind)) for kind in ("|b1", "|u1", "<i2", ">i4", "<f2", ">f8")}
    kinds = {kind.translate(str.maketrans("|<>", "nlb")): data for kind, data in kinds.items()}
    plain = kinds["li2"]
    fields = [("a", [("b", [("c", [("d", "<i2")])])], 2), ("e", "|b1")]
    deep = b"[('a', " * 5 + b"'<i2'" + b")]" * 5
    kinds |= {
        "nested": npy(np.zeros(2, np.dtype(fields))),
        "deep": plain.replace(b"'<i2'", deep),
        "objects": plain.replace(b"'<i2'", b"'|O' "),
    }
    kinds |= {
        "python2": plain.replace(b"(2, 2, 3), ", b"(2L,2L,3L),"),
        "v2": plain[:6] + b"\2\0\x76\0\0\0" + plain[10:],
    }
    wide = {f"dims{n}": npy(np.zeros((1,) * n)) for n in (8, 9)}
    kinds |= {f"descr{n}": npy(np.zeros(1, [(f"f{k:04}", "|u1") for k in range(n)])) for n in (113, 114)}
    return kinds | wide | {"fortran": npy(np.asfortranarray(cube)), "rows": npy(rows_of_design([1, 0, 2], tr=1.5))}


def streams():
    data = np.arange(12, dtype="<i2").reshape(4, 3)
    meta = rows_of_design([3, 0, 0, 5], tr=1.5)
    small = {"dims": [2, 2, 1], "voxels": [0, 1, 3], "tile_cols": 2}
    full = {"volumes": 9, "categories": ["a", "b"], "steps": [{"tool": "x"}], "counts": {"a.b": 3}}
    return {
        "full": write_stream([make_run(data[:2], times=[0, 5], **full, **small)]),
        "small": write_stream([make_run(data[:2], **small | {"tile_cols": 4})]),
        "labelled": write_stream([make_run(data, meta=meta, slope=0.5, **small)]),
        "two_runs": write_stream(
            [make_run(data.astype("<f4"), **small), make_run(data[:2], run=2, times=[1, 3], **small)]
        ),
    }


def described():
    """The first byte: which name, and how much is read."""
    of = {name: (b"\x1d", data) for name, data in TEXTS.items()}
    of |= {"sidecar": (b"\x04", b'{"RepetitionTime":1.5,"SliceTiming":[0,0.5],"TaskName":"a"}')}
    of |= {name: (b"\x18", nifti_seeds()[name]) for name in ("i2", "n2_big", "gz", "u1_3d")}
    labels = nifti(nib.Nifti1Image, "u1", values=[0, 0, 1, 1, 2, 2, 70, 70])
    of |= {"bool": (b"\x08", npy_seeds()["nb1"]), "extension": (b"\x18", nifti_seeds()["extension"])}
    of |= {
        "full": (b"\x18", streams()["full"]),
        "labels": (b"\x11", labels),
        "analyze": (b"\x1e", nifti_seeds()["analyze"]),
    }
    of |= {name: (b"\x1a", npy_seeds()[name]) for name in ("rows", "bf8", "nu1", "fortran")}
    of |= {"matrix": (b"\x1a", npy(np.arange(6, dtype="<f4").reshape(2, 3))), "stream": (b"\x18", streams()["small"])}
    return {name: choice + data for name, (choice, data) in of.items()}


def sealed_seeds():
    """The first byte: rows alone (1), or a description with verify (2) and values (4); behind a NUL the array."""
    matrix = npy(np.arange(6, dtype="<f4").reshape(3, 2))
    array = npy(np.array([2, 0, 1], "<i4"))
    runs = [{"session": 1, "run": 1, "first_row": 0, "rows": 1}, {"session": 1, "run": 2, "first_row": 1, "rows": 2}]
    arrays = {"boldmill": "arrays", "schema": 1, "subject": 1, "runs": runs, "meta": None}
    arrays |= {"fmri": {"file": "x.fmri.npy", "crc32": f"{zlib.crc32(matrix):08x}"}}
    index = {"file": "x.train.npy", "crc32": f"{zlib.crc32(array[128:]):08x}"}
    shuffle = {"boldmill": "shuffle", "schema": 1, "parts": [{"files": [index]}]}
    return {
        "rows": b"\x01" + sealed(arrays),
        "arrays": b"\x06" + sealed(arrays) + b"\0" + matrix,
        "both": b"\x02" + sealed(arrays | {"meta": arrays["fmri"]}) + b"\0" + matrix,
        "shuffle": b"\x02" + sealed(shuffle) + b"\0" + array,
        "synthetic": b'\x00{"boldmill":"synthetic"}',
        "meta": b"\x01" + npy(rows_of_design([1, 0, 2], tr=1.5)),
    }


def record(kind, run, data):
    return bytes([kind, run]) + len(data).to_bytes(2, "little") + data


def stored_run(number, head, data, *, deflate, meta=None):
    """The records of a run (fakeh5.h)."""
    text = json.dumps(make_run(data, meta=meta, **head).head).encode()
    foot = json.dumps({"boldmill": "run_end", "schema": 1, "counts": {"a.b": 3}}).encode()
    out, crcs = record(2, number, text) + record(3, number, foot), []
    if meta is not None:
        out += record(4, number, meta.tobytes())
    wide = min(head["tile_cols"], data.shape[1])
    for k in range(0, data.shape[1], wide):
        chunk = np.zeros((len(data), wide), data.dtype)
        chunk[:, : data.shape[1] - k] = data[:, k : k + wide]
        shuffled = chunk.reshape(-1).view("u1").reshape(-1, data.itemsize).T.tobytes()
        packed = zlib.compress(shuffled, 1) if deflate else chunk.tobytes()
        crcs.append(zlib.crc32(packed))
        out += record(6, number, bytes([k // wide, 0]) + packed)
    return out + record(5, number, np.array(crcs, "<u4").tobytes())


def seriesfile_seeds():
    data = np.arange(12, dtype="<i2").reshape(4, 3)
    small = {"dims": [2, 2, 1], "voxels": [0, 1, 3], "tile_cols": 2}
    voxels = record(1, 0, np.array([0, 1, 3], "<i8").tobytes())
    table = [record(0, 0, bytes(120 * n)) for n in (1, 2)]
    meta = rows_of_design([3, 0, 0, 5], tr=1.5)
    even = small | {"subject": 2}
    floats = {"data": data.astype("<f4"), "deflate": True}
    return {
        "plain": b"\0" + table[0] + voxels + stored_run(0, small, data, deflate=False, meta=meta),
        "deflate": b"\2" + table[1] + voxels + stored_run(0, small, **floats) + stored_run(1, even, **floats),
        "check": b"\x0a" + table[0] + voxels + stored_run(0, small, data, deflate=True),
    }


def series(store):
    out = HERE / "series.tmp.h5"
    program = HERE.parents[1] / "bin/concat"
    subprocess.run([program, "--store", store, "-", out], input=streams()["small"], check=True)
    data = out.read_bytes()
    out.unlink()
    return data


def main():
    corpora = {
        "nifti": nifti_seeds(),
        "npy": npy_seeds(),
        "stream": streams(),
        "tables": {name: bytes([CHOICES.get(name, 0)]) + text for name, text in TEXTS.items()},
        "confounds": CONFOUNDS,
        "specs": SPECS,
        "describe": described(),
        "sealed": sealed_seeds(),
        "seriesfile": seriesfile_seeds(),
        "series": {store: series(store) for store in ("plain", "deflate")},
    }
    for target, seeds in corpora.items():
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, data in seeds.items():
            (folder / name).write_bytes(data)
        print(f"{target}: {len(seeds)} seeds, {sum(map(len, seeds.values()))} bytes")


if __name__ == "__main__":
    main()
