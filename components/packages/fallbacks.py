"""Where ONNX does not hold a model: skops with a fixed allow-list, or safetensors with a config.

Neither runs code of the package: skops builds only the types listed here (what a file asks for
beyond them is refused), safetensors holds arrays and the config names classes of ours.
"""

import importlib
import io
import json
import zipfile
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from components.errors import PackageError
from components.packages.graphs import Run
from components.packages.manifest import Manifest

TRUSTED = (
    "components.models.encoding.Encoding",
    "components.models.lightgbm.LightGBMModel",
    "components.models.linear.LinearModel",
    "components.models.linear.Reach",
    "components.models.network.NetworkModel",
    "numpy.dtype",
)
"""What a package may be built of, beside scikit-learn's, numpy's and scipy's own types that
skops itself trusts. Never taken from the file."""

_MOST_BYTES = 1 << 30
_MOST_ENTRIES = 10_000
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


def write_skops(model: object) -> bytes:
    """Write a fitted model with skops; the same model gives the same bytes.

    Raises
    ------
    PackageError
        If the model holds a type that :data:`TRUSTED` does not name.

    """
    import skops.io

    content: bytes = skops.io.dumps(model)
    _check_types(content)
    return _without_addresses(content)


def open_skops(content: bytes, manifest: Manifest) -> Run:
    """Open a model written by :func:`write_skops`.

    Raises
    ------
    PackageError
        If the file asks for a type that is not on the list, or unpacks beyond bounds.

    """
    import skops.io

    _check_archive(content)
    trusted = _check_types(content)
    try:
        model = skops.io.loads(content, trusted=trusted)
    except Exception as problem:
        raise PackageError(f"the model file cannot be opened with skops ({problem})") from problem
    return _answering(model, manifest)


def write_tensors(model: object) -> tuple[bytes, bytes]:
    """Write a fitted model as safetensors, and the config that puts it together."""
    from safetensors.numpy import save

    tensors: dict[str, np.ndarray] = {}
    config = _take_apart(model, tensors)
    return save(tensors), json.dumps(config, sort_keys=True, allow_nan=False).encode() + b"\n"


def open_tensors(content: bytes, config: bytes, manifest: Manifest) -> Run:
    """Open a model written by :func:`write_tensors`.

    Raises
    ------
    PackageError
        If the config names a class that is not on the list.

    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        model = _put_together(json.loads(config), load(content))
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as problem:
        raise PackageError(f"the model file cannot be opened ({problem})") from problem
    return _answering(model, manifest)


def _answering(model: Any, manifest: Manifest) -> Run:
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    if kind not in TRUSTED or not hasattr(model, "predict"):
        raise PackageError(f"the model file holds {kind}, which is no model of ours")
    if (model.task, tuple(model.classes)) != (manifest.task, manifest.classes):
        raise PackageError(
            f"the model file is for {model.task} with classes {model.classes}; the manifest "
            f"states {manifest.task} with {manifest.classes}"
        )
    run: Run = model.predict
    return run


def _check_types(content: bytes) -> list[str]:
    """List the types beyond skops's own that a file asks for; all of them are on our list."""
    import skops.io

    try:
        asked: list[str] = skops.io.get_untrusted_types(data=content)
    except Exception as problem:
        raise PackageError(f"the model file is not a skops archive ({problem})") from problem
    unknown = sorted(set(asked) - set(TRUSTED))
    if unknown:
        raise PackageError(
            f"the model file asks for {', '.join(unknown)}, which is not on the list of types "
            "that a package may be built of; it is not opened"
        )
    return asked


def _check_archive(content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as problem:
        raise PackageError(f"the model file is not a skops archive ({problem})") from problem
    size = sum(entry.file_size for entry in entries)
    if len(entries) > _MOST_ENTRIES or size > _MOST_BYTES:
        raise PackageError(
            f"the model file unpacks to {len(entries)} files of {size} bytes in all; at most "
            f"{_MOST_ENTRIES} and {_MOST_BYTES} are unpacked"
        )


def _without_addresses(content: bytes) -> bytes:
    """Give numbers to what skops names by memory address, and fix the times in the archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        schema = json.loads(archive.read("schema.json"))
        names: dict[str, str] = {}
        _renumber(schema, names, iter(range(1 << 62)))
        held = {new: archive.read(old) for old, new in names.items()}
    held["schema.json"] = json.dumps(schema, sort_keys=True).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, part in held.items():
            archive.writestr(zipfile.ZipInfo(name, _FIXED_TIME), part)
    return packed.getvalue()


def _renumber(node: Any, names: dict[str, str], numbers: Any) -> None:
    if isinstance(node, list):
        for each in node:
            _renumber(each, names, numbers)
        return
    if not isinstance(node, dict):
        return
    if "__id__" in node:
        node["__id__"] = next(numbers)
    if isinstance(node.get("file"), str) and "__loader__" in node:
        suffix = node["file"].rpartition(".")[2]
        node["file"] = names.setdefault(node["file"], f"{len(names)}.{suffix}")
    for each in node.values():
        _renumber(each, names, numbers)


def _take_apart(value: Any, tensors: dict[str, np.ndarray]) -> Any:
    """Turn a dataclass of plain values and arrays into JSON, the arrays put into `tensors`."""
    if isinstance(value, np.ndarray):
        name = f"t{len(tensors)}"
        tensors[name] = np.ascontiguousarray(value)
        return {"tensor": name}
    if is_dataclass(value):
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        parts = {f.name: _take_apart(getattr(value, f.name), tensors) for f in fields(value)}
        return {"class": kind, "fields": parts}
    if isinstance(value, tuple):
        return {"tuple": [_take_apart(each, tensors) for each in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise PackageError(
        f"a {type(value).__module__}.{type(value).__qualname__} has no place among tensors and "
        "plain values"
    )


def _put_together(config: Any, tensors: dict[str, np.ndarray]) -> Any:
    if not isinstance(config, dict):
        return config
    if "tensor" in config:
        return tensors[config["tensor"]]
    if "tuple" in config:
        return tuple(_put_together(each, tensors) for each in config["tuple"])
    kind = config["class"]
    if kind not in TRUSTED:
        raise PackageError(f"the config names {kind}, which is no class of our models")
    module, _, name = kind.rpartition(".")
    made = getattr(importlib.import_module(module), name)
    return made(**{key: _put_together(each, tensors) for key, each in config["fields"].items()})
