"""What a package says of itself: its format and why, its files and their digests."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

from components.errors import PackageError, TamperedPackageError

Format = Literal["onnx", "skops", "safetensors"]

MANIFEST = "manifest.json"
GOLDEN = "golden.json"
REFERENCE = "reference.parquet"
MODEL_FILES: dict[Format, tuple[str, ...]] = {
    "onnx": ("model.onnx",),
    "skops": ("model.skops",),
    "safetensors": ("model.safetensors", "model.json"),
}
"""The files that hold the model, by format; no other names are ever opened."""

_LAYOUT = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of ``manifest.json``.

    Attributes
    ----------
    format : {'onnx', 'skops', 'safetensors'}
        How the model is stored.
    reason : str
        Why it is not ONNX; empty when it is.
    contract : tuple of (name, kind)
        The input columns, in order.
    made_with : dict
        Versions of the libraries that wrote the model file.
    about : dict
        Where the model comes from: recipe, snapshot, and so on. Plain JSON values.
    files : dict
        SHA-256 of every other file of the package, by name.
    output : dict or None
        What turns raw answers into those to act on (:class:`components.output.Output`, as plain
        JSON values); None: they stay as they are. As `trusted`, it is part of the digest, and
        left out of the file where there is none, as in packages of old.
    trusted : dict or None
        Which class of the user's own the model is of: `file` under ``HOME/code``, `name` in it,
        `sha256` of the file. The class itself never travels with the package.
    digest : str
        SHA-256 over all of the above: names the package. Nothing in it depends on the
        clock, so the same fit has the same digest.

    """

    format: Format
    reason: str
    family: str
    task: str
    classes: tuple[str, ...]
    contract: tuple[tuple[str, str], ...]
    made_with: dict[str, str]
    about: dict[str, Any]
    files: dict[str, str]
    output: dict[str, Any] | None = None
    trusted: dict[str, Any] | None = None

    @property
    def digest(self) -> str:
        """Name the package by its content."""
        return sha256(_canonical(self._body()))

    def _body(self) -> dict[str, Any]:
        later = {"output": self.output, "trusted": self.trusted}
        return {
            "layout": _LAYOUT,
            "format": self.format,
            "reason": self.reason,
            "family": self.family,
            "task": self.task,
            "classes": list(self.classes),
            "contract": [list(column) for column in self.contract],
            "made_with": self.made_with,
            "about": self.about,
            "files": self.files,
            **{name: given for name, given in later.items() if given is not None},
        }

    def to_bytes(self) -> bytes:
        """Write the manifest as it stands in the package.

        Raises
        ------
        PackageError
            If `about` holds what strict JSON cannot.

        """
        whole = {**self._body(), "digest": self.digest}
        return json.dumps(whole, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"

    @classmethod
    def from_bytes(cls, content: bytes, *, source: str) -> "Manifest":
        """Read a manifest and check that its digest is that of its content.

        Raises
        ------
        PackageError
            If it is not a manifest of ours, or of a format that we do not open.
        TamperedPackageError
            If its content was changed after it was written.

        """
        try:
            given = json.loads(content)
            manifest = cls._from_dict(given)
        except (ValueError, KeyError, TypeError, RecursionError) as problem:
            raise PackageError(
                f"{source} is not a manifest of a Driftwheel package ({problem}); "
                "fetch the package again"
            ) from problem
        _check_shape(manifest, given, source)
        if manifest.digest != given.get("digest"):
            raise TamperedPackageError(
                f"{source} was changed after it was written: its content has digest "
                f"{manifest.digest}, it states {given.get('digest')}; fetch the package again"
            )
        if manifest.to_bytes() != content:
            # A key that comes twice, or one that nobody knows, might mean something to others.
            raise TamperedPackageError(
                f"{source} holds more than its digest covers: a key twice, or one that is no "
                "manifest's; fetch the package again"
            )
        return manifest

    @classmethod
    def _from_dict(cls, given: dict[str, Any]) -> "Manifest":
        return cls(
            format=given["format"],
            reason=str(given["reason"]),
            family=str(given["family"]),
            task=str(given["task"]),
            classes=tuple(map(str, given["classes"])),
            contract=tuple((str(name), str(kind)) for name, kind in given["contract"]),
            made_with={str(key): str(value) for key, value in dict(given["made_with"]).items()},
            about=dict(given["about"]),
            files={str(key): str(value) for key, value in dict(given["files"]).items()},
            output=_section(given, "output"),
            trusted=_section(given, "trusted"),
        )


def _section(given: dict[str, Any], name: str) -> dict[str, Any] | None:
    return dict(given[name]) if name in given else None


def sha256(content: bytes) -> str:
    """Hash bytes; 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def _check_shape(manifest: Manifest, given: dict[str, Any], source: str) -> None:
    if given.get("layout") != _LAYOUT:
        raise PackageError(
            f"{source} has layout {given.get('layout')!r}, this version opens {_LAYOUT}; "
            "upgrade driftwheel or train anew"
        )
    if manifest.format not in get_args(Format):
        raise PackageError(
            f"{source} is of format {manifest.format!r}; opened are only "
            f"{', '.join(get_args(Format))}, which run no code (never pickle)"
        )
    expected = {*MODEL_FILES[manifest.format], GOLDEN, REFERENCE}
    if set(manifest.files) != expected:
        raise PackageError(
            f"{source} must list exactly {', '.join(sorted(expected))}. "
            f"Got {', '.join(sorted(manifest.files)) or 'nothing'}"
        )


def _canonical(body: dict[str, Any]) -> bytes:
    try:
        return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as problem:
        raise PackageError(
            f"a manifest holds plain JSON values only ({problem}); write times as text and "
            "leave out what is not a number"
        ) from problem
