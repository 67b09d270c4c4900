"""Ways to make a package hostile: each changes a good one, and says what must be said of it."""

import gzip
import io
import json
import os
import pickle
import runpy
import socket
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.packages.manifest import GOLDEN, MANIFEST, REFERENCE

FORGING = runpy.run_path(str(Path(__file__).with_name("forging.py")))
forge, state, as_format = (FORGING[name] for name in ("forge", "state", "as_format"))
case = FORGING["case"]
GRAPH = "model.onnx"

CASES = FORGING["CASES"]


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return (os.system, (f"touch {self.canary}",))


def bomb(canary: Path) -> bytes:
    return pickle.dumps(Bomb(canary))


# Code in the place of a model.


@case("a pickle as the graph", "not an ONNX graph")
def _(folder, canary):
    forge(folder, {GRAPH: bomb(canary)})


@case("a gzipped pickle as the graph", "not an ONNX graph")
def _(folder, canary):
    forge(folder, {GRAPH: gzip.compress(bomb(canary))})


@case("a pickle as skops", "not a skops archive")
def _(folder, canary):
    as_format(folder, "skops", {"model.skops": bomb(canary)})


@case("a gzipped pickle as skops", "not a skops archive")
def _(folder, canary):
    as_format(folder, "skops", {"model.skops": gzip.compress(bomb(canary))})


@case("a pickle as tensors", "cannot be opened")
def _(folder, canary):
    as_format(folder, "safetensors", {"model.safetensors": bomb(canary), "model.json": b"{}"})


@case("a pickle as golden rows", r"golden\.json cannot be read")
def _(folder, canary):
    forge(folder, {GOLDEN: bomb(canary)})


@case("a pickle as the reference", r"reference\.parquet cannot be read")
def _(folder, canary):
    forge(folder, {REFERENCE: bomb(canary)})


@case("a pickle beside the model", r"model\.pkl does not belong")
def _(folder, canary):
    (folder / "model.pkl").write_bytes(bomb(canary))


@case("an MLmodel with a loader_module", "MLmodel does not belong")
def _(folder, canary):
    (folder / "evil.py").write_text(f"open({str(canary)!r}, 'w')")
    flavor = "flavors: {python_function: {loader_module: evil, code: code}}"
    (folder / "MLmodel").write_text(flavor)


@case("a format of its own with a loader_module", "never pickle")
def _(folder, canary):
    (folder / "evil.py").write_text(f"open({str(canary)!r}, 'w')")
    state(folder, format="python_function", loader_module="evil")


def schema_of(node: dict) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("schema.json", json.dumps({**node, "protocol": 2, "_skops_version": "0"}))
    return packed.getvalue()


@case("skops that calls os.system", "not on the list")
def _(folder, canary):
    import skops.io

    content = skops.io.dumps(partial(os.system, f"touch {canary}"))
    as_format(folder, "skops", {"model.skops": content})


@case("skops that whitelists itself", "not on the list")
def _(folder, canary):
    call = {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode"}
    call |= {"trusted": True, "content": "os.system", "is_safe": True}
    as_format(folder, "skops", {"model.skops": schema_of(call | {"__trusted__": ["os.system"]})})
    state(folder, about={"trusted": ["os.system"], "TRUSTED": ["os.system"]})


@case("skops that makes a process", "not on the list")
def _(folder, canary):
    args = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode"}
    word = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode"}
    word |= {"content": json.dumps(f"touch {canary}"), "is_json": True}
    call = {"__class__": "Popen", "__module__": "subprocess"}
    call |= {"__loader__": "ConstructorFromReduceNode", "content": args | {"content": [word]}}
    as_format(folder, "skops", {"model.skops": schema_of(call)})


@case("skops with a pickle in an array", "skops")
def _(folder, canary):
    array = io.BytesIO()
    np.save(array, np.array([Bomb(canary)], dtype=object), allow_pickle=True)
    node = {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode"}
    node |= {"type": "numpy", "file": "0.npy"}
    content = io.BytesIO(schema_of(node))
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr("0.npy", array.getvalue())
    as_format(folder, "skops", {"model.skops": content.getvalue()})


@case("skops whose array lies outside", "skops")
def _(folder, canary):
    node = {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode"}
    content = schema_of(node | {"type": "numpy", "file": "../../../../etc/passwd"})
    as_format(folder, "skops", {"model.skops": content})


@case("a class that nobody trusts", "does not trust")
def _(folder, canary):
    as_format(folder, "skops", {"model.skops": schema_of({})})
    state(folder, trusted={"file": "own.py", "name": "Own", "sha256": "0" * 64})


# More than fits.


@case("a zip bomb of overlapping parts", "unpacks to 21 files of")
def _(folder, canary):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("schema.json", bytes(64 << 20))
        archive.filelist.extend(archive.filelist * 20)
    as_format(folder, "skops", {"model.skops": packed.getvalue()})


@case("a zip of very many files", "unpacks to 10001 files")
def _(folder, canary):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(10_001):
            archive.writestr(str(number), b"")
    as_format(folder, "skops", {"model.skops": packed.getvalue()})


@case("a zip that lies about a size", "not a skops archive")
def _(folder, canary):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("schema.json", bytes(64 << 20))
        archive.filelist[0].file_size = 10
    as_format(folder, "skops", {"model.skops": packed.getvalue()})


@case("a skops schema nested without end", "not a skops archive")
def _(folder, canary):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("schema.json", b"[" * 1_000_000)
    as_format(folder, "skops", {"model.skops": packed.getvalue()})


@case("a file of more than a gigabyte", "at most 1073741824")
def _(folder, canary):
    os.truncate(folder / GRAPH, (1 << 30) + 1)


@case("golden rows of a gigabyte", "at most 67108864")
def _(folder, canary):
    os.truncate(folder / GOLDEN, 1 << 30)


def parquet_of(columns: dict, **options) -> bytes:
    written = io.BytesIO()
    pq.write_table(pa.table(columns), written, **options)
    return written.getvalue()


@case("a reference of ten million equal rows", "10000000 rows")
def _(folder, canary):
    forge(folder, {REFERENCE: parquet_of({"temp": pa.array(np.zeros(10_000_000))})})


@case("a reference of one long word in every row", "unpacks to 50000000000 bytes")
def _(folder, canary):
    word = pa.DictionaryArray.from_arrays(pa.array(np.zeros(50_000, np.int32)), ["x" * 1_000_000])
    table = pa.table({"weather": word})
    written = io.BytesIO()
    pq.write_table(table, written, store_schema=False)
    forge(folder, {REFERENCE: written.getvalue()})


@case("a reference packed so that it swells a thousandfold", "packed with GZIP")
def _(folder, canary):
    forge(folder, {REFERENCE: parquet_of({"temp": np.zeros(1000)}, compression="gzip")})


@case("a manifest of five megabytes", "at most 4194304")
def _(folder, canary):
    state(folder, about={"padding": "x" * (5 << 20)})


@case("a manifest nested without end", "not a manifest")
def _(folder, canary):
    (folder / MANIFEST).write_bytes(b'{"about":' + b"[" * 1_000_000)


@case("a manifest with an endless number", "not a manifest")
def _(folder, canary):
    (folder / MANIFEST).write_bytes(b'{"layout":' + b"9" * 1_000_000 + b"}")


@case("golden rows nested without end", r"golden\.json cannot be read")
def _(folder, canary):
    forge(folder, {GOLDEN: b"[" * 1_000_000})


# Things that are no plain files, and names that are not what they seem.


@case("a link in place of the model", "not a plain file")
def _(folder, canary):
    (folder / GRAPH).rename(folder.parent / f"{folder.name}.elsewhere")
    (folder / GRAPH).symlink_to(folder.parent / f"{folder.name}.elsewhere")


@case("a link to an endless device", r"manifest\.json cannot be read")
def _(folder, canary):
    (folder / MANIFEST).unlink()
    (folder / MANIFEST).symlink_to("/dev/zero")


@case("a link in place of the folder", "is a link")
def _(folder, canary):
    folder.rename(folder.with_name(f"{folder.name}.elsewhere"))
    folder.symlink_to(folder.with_name(f"{folder.name}.elsewhere"))


@case("a pipe that nobody writes into", "not a plain file")
def _(folder, canary):
    (folder / GRAPH).unlink()
    os.mkfifo(folder / GRAPH)


@case("a socket", "not a plain file")
def _(folder, canary):
    (folder / GRAPH).unlink()
    here = os.open(folder, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listening:  # a path of 108 bytes is the most it takes
        listening.bind(f"/proc/self/fd/{here}/{GRAPH}")
    os.close(here)


@case("a folder in place of the model", "not a plain file")
def _(folder, canary):
    (folder / GRAPH).unlink()
    (folder / GRAPH).mkdir()


@case("a hard link to a file of somebody else", "is not the file that was packaged")
def _(folder, canary):
    secret = folder.parent / f"{folder.name}.secret"
    secret.write_bytes(b"secret")
    (folder / GRAPH).unlink()
    os.link(secret, folder / GRAPH)


@case("an empty folder", r"manifest\.json is missing")
def _(folder, canary):
    for file in folder.iterdir():
        file.unlink()


@case("no golden rows", r"golden\.json is missing")
def _(folder, canary):
    (folder / GOLDEN).unlink()


@case("a hidden file", r"\.hidden does not belong")
def _(folder, canary):
    (folder / ".hidden").touch()


@case("a name with an invisible sign", "does not belong")
def _(folder, canary):
    (folder / "model.onnx\u200b").touch()


@case("a name with a letter of another script", "must list exactly")
def _(folder, canary):
    (folder / "mоdel.onnx").write_bytes(b"")  # noqa: RUF001 - the o is Cyrillic
    state(folder, files={"mоdel.onnx": "0" * 64})  # noqa: RUF001 - as above


@case("a path out of the folder", "must list exactly")
def _(folder, canary):
    state(folder, files={"../../../etc/passwd": "0" * 64})


# Bytes that are not those that were registered.


@case("a flipped bit in the model", "is not the file that was packaged")
def _(folder, canary):
    content = bytearray((folder / GRAPH).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / GRAPH).write_bytes(bytes(content))


@case("half a model", "is not the file that was packaged")
def _(folder, canary):
    os.truncate(folder / GRAPH, (folder / GRAPH).stat().st_size // 2)


@case("half a manifest", "not a manifest")
def _(folder, canary):
    os.truncate(folder / MANIFEST, (folder / MANIFEST).stat().st_size // 2)


@case("another digest than its own", "was changed after it was written")
def _(folder, canary):
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace('"family": "linear"', '"family": "forest"'))


@case("a key that comes twice", "a key twice")
def _(folder, canary):
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace("{", '{\n "format": "pickle",', 1))


@case("a key that nobody knows", "was changed after it was written|a key twice")
def _(folder, canary):
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace("{", '{\n "loader_module": "evil",', 1))


@case("a NaN in the manifest", "plain JSON values only")
def _(folder, canary):
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace('"about": {', '"about": {"x": NaN,', 1))


# What is made of the answers.


@case("a threshold that is none", "output .* cannot be read")
def _(folder, canary):
    threshold = {"value": "0.5; touch", "chosen_by": "cost"}
    state(folder, output={"threshold": threshold})


@case("intervals with bins of no order", "output .* cannot be read")
def _(folder, canary):
    reach = {"coverage": 0.9, "edges": [2.0, 1.0], "reach": [1.0, 1.0, 1.0], "rows": [1, 1, 1]}
    state(folder, output={"conformal": reach})


@case("an output that is a list", "not a manifest")
def _(folder, canary):
    state(folder, output=[1, 2])


@case("golden answers that an output of its own does not give", "there, though none are due")
def _(folder, canary):
    told = json.loads((folder / GOLDEN).read_text())
    told["said"] = {**told, "intervals": [[0.0, 1.0]] * len(told["values"])}
    forge(folder, {GOLDEN: json.dumps(told).encode()})
