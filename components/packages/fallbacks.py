"""Where ONNX does not hold a model: skops with a fixed allow-list, or safetensors with a config.

Neither runs code of the package: skops builds only the types listed here (what a file asks for
beyond them is refused), safetensors holds arrays and its config plain values.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Any

from components.errors import PackageError
from components.packages.graphs import Run
from components.packages.manifest import Manifest
from components.packages.trust import NOBODY, Trust

if TYPE_CHECKING:
    from components.models.network import NetworkModel
    from components.models.protocol import Model

TRUSTED = (
    "components.models.encoding.Encoding",
    "components.models.forest.ForestModel",
    "components.models.hist_boosting.HistBoostingModel",
    "components.models.lightgbm.LightGBMModel",
    "components.models.linear.LinearModel",
    "components.models.linear.Reach",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
"""What a package may be built of, beside scikit-learn's, numpy's and scipy's own types that
skops itself trusts. Never taken from the file."""

_WRAPPER = "components.models.trusted.OwnModel"
_MOST_BYTES = 1 << 30
_MOST_ENTRIES = 10_000
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


def write_skops(model: "Model", *, own: type | None = None) -> bytes:
    """Write a fitted model with skops; the same model gives the same bytes.

    Parameters
    ----------
    model : Model
    own : type, optional
        The trusted class of the user's own that the model is of; its state must be plain
        values, arrays and estimators.

    Raises
    ------
    PackageError
        If the model holds what skops cannot write, or a type that :data:`TRUSTED` does not
        name.

    """
    import skops.io

    try:
        content: bytes = skops.io.dumps(model)
    except Exception as problem:
        raise PackageError(
            f"the fitted {model.family} cannot be kept: {type(problem).__name__}: {problem}; its "
            "state must be plain values, arrays and scikit-learn estimators"
        ) from problem
    _check_types(content, own)
    return _without_addresses(content)


def open_skops(content: bytes, manifest: Manifest, trust: Trust = NOBODY) -> Run:
    """Open a model written by :func:`write_skops`.

    Raises
    ------
    PackageError
        If the file asks for a type that is not on the list, or unpacks beyond bounds; or if
        the manifest asks for a class that is not trusted.

    """
    import skops.io

    _check_archive(content)
    own = None if manifest.trusted is None else trust.load(manifest.trusted)
    trusted = _check_types(content, own)
    try:
        model = skops.io.loads(content, trusted=trusted)
    except Exception as problem:
        raise PackageError(f"the model file cannot be opened with skops ({problem})") from problem
    held = getattr(model, "own", None)
    if own is not None and type(held) is not own:
        raise PackageError(f"the model file holds {type(held).__name__}, not {own.__name__}")
    return _answering(model, manifest)


def write_tensors(model: "NetworkModel") -> tuple[bytes, bytes]:
    """Write a fitted network as safetensors, and the config that puts it together."""
    from safetensors.numpy import save

    config = json.dumps(model.config(), sort_keys=True, allow_nan=False)
    return save(model.tensors()), config.encode() + b"\n"


def open_tensors(content: bytes, config: bytes, manifest: Manifest) -> Run:
    """Open a network written by :func:`write_tensors`; torch is not needed.

    Raises
    ------
    PackageError
        If tensors and config do not make a network.

    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    from components.models.network import NetworkModel

    try:
        model = NetworkModel.of_tensors(load(content), json.loads(config))
    except (
        SafetensorError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as problem:
        raise PackageError(f"the model file cannot be opened ({problem})") from problem
    return _answering(model, manifest)


def _answering(model: Any, manifest: Manifest) -> Run:
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    if not kind.startswith("components.models.") or not hasattr(model, "predict"):
        raise PackageError(f"the model file holds {kind}, which is no model of ours")
    if (model.task, tuple(model.classes)) != (manifest.task, manifest.classes):
        raise PackageError(
            f"the model file is for {model.task} with classes {model.classes}; the manifest "
            f"states {manifest.task} with {manifest.classes}"
        )
    run: Run = model.predict
    return run


def _check_types(content: bytes, own: type | None = None) -> list[str]:
    """List the types beyond skops's own that a file asks for; all of them are on our list."""
    import skops.io

    try:
        asked: list[str] = skops.io.get_untrusted_types(data=content)
    except Exception as problem:
        raise PackageError(f"the model file is not a skops archive ({problem})") from problem
    extended = set() if own is None else {_WRAPPER, f"{own.__module__}.{own.__qualname__}"}
    unknown = sorted(set(asked) - set(TRUSTED) - extended)
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
        _renumber(schema, names, count())
        held = {new: archive.read(old) for old, new in names.items()}
    held["schema.json"] = json.dumps(schema, sort_keys=True).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, part in held.items():
            archive.writestr(zipfile.ZipInfo(name, _FIXED_TIME), part)
    return packed.getvalue()


def _renumber(node: Any, names: dict[str, str], numbers: Iterator[int]) -> None:
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
