"""Writes the seed corpora of the fuzzers, tests/fuzz/corpus/TARGET/: small valid files, from which mutation starts.

    python tests/fuzz/seeds.py

They are kept in the tree; run this again when a format changes.
"""

import gzip
import io
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from oracle import make_run, rows_of_design, write_stream  # noqa: E402

TABLES = {
    "design": b"0\n12\n0\n0\n73000\n0\n",
    "events": b"onset\tduration\ttrial_type\n0\t3\tface\n4.5\t3\thouse\n9\tn/a\tn/a\n",
    "ctab": b"0 Unknown 0 0 0 0\n1 V1v 255 0 0 0\n2 V1d 0 255 0 0\n",
    "dseg": b"index\tname\tabbr\n1\tLeft Cortex\tlc\n2\tV1\tv\n",
    "select": b"1,3-5,V1v\n1 V1v\n3 a\n4 b\n5 c\n",
}
# The first byte says what is done (fuzz_confounds.c), the line with '#' is an option.
CONFOUNDS = {
    "named": b"\x4f#trans_*\ntrans_x\trot_x\tframewise_displacement\n0.1\t0\tn/a\n0.2\t1e-3\t0.31\n",
    "censored": b"\x66#fd > 0.3\nfd,x\nn/a,1\n0.5,2\n0.1,inf\n0.2,\n",
    "numbers": b"\x27#1-2\n 0.1  2e-3 -4\n 1 2 3\n-1 .5 0\n",
    "expanded": b'\x1a#x,x_derivative1\n"x"\tx_derivative1\tx_power2\n1\tn/a\t1\n3\t2\t9\n',
    "mask": b"\x00#\n1\n1\n0\n1\n",
}


def nifti(cls, dtype, shape=(2, 1, 2, 3), order="<", slope=None, extension=False):
    data = np.arange(np.prod(shape)).reshape(shape).astype(np.dtype(dtype).newbyteorder(order))
    header = cls.header_class(endianness=order)
    header.set_data_dtype(data.dtype)
    image = cls(data, np.diag([2, 2, 2, 1]), header)
    image.header.set_zooms((2, 2, 2, 1.5)[: len(shape)])
    image.header.set_xyzt_units("mm", "sec")
    if slope:
        image.header.set_slope_inter(slope, 3)
    if extension:
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
        "extension": nifti(one, "i2", extension=True),
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
    return kinds | {"fortran": npy(np.asfortranarray(cube)), "rows": npy(rows_of_design([1, 0, 2], tr=1.5))}


def streams():
    data = np.arange(12, dtype="<i2").reshape(4, 3)
    meta = rows_of_design([3, 0, 0, 5], tr=1.5)
    small = {"dims": [2, 2, 1], "voxels": [0, 1, 3], "tile_cols": 2}
    return {
        "labelled": write_stream([make_run(data, meta=meta, slope=0.5, **small)]),
        "two_runs": write_stream(
            [make_run(data.astype("<f4"), **small), make_run(data[:2], run=2, times=[1, 3], **small)]
        ),
    }


def series(store):
    out = HERE / "series.tmp.h5"
    program = HERE.parents[1] / "bin/concat"
    subprocess.run([program, "--store", store, "-", out], input=streams()["labelled"], check=True)
    data = out.read_bytes()
    out.unlink()
    return data


def main():
    corpora = {
        "nifti": nifti_seeds(),
        "npy": npy_seeds(),
        "stream": streams(),
        "tables": TABLES,
        "confounds": CONFOUNDS,
        "series": {store: series(store) for store in ("plain", "deflate")},
    }
    for target, seeds in corpora.items():
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (folder / name).write_bytes(data)
        print(f"{target}: {len(seeds)} seeds, {sum(map(len, seeds.values()))} bytes")


if __name__ == "__main__":
    main()
