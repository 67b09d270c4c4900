"""Packages that somebody else wrote: other content, with digests that fit."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from components.packages.folders import read_manifest
from components.packages.manifest import MANIFEST, sha256


def forge(folder: Path, content: dict[str, bytes], **changes: Any) -> None:
    """Put other bytes into a package and make its digests fit, as whoever wrote it could."""
    manifest = read_manifest(folder)
    files = dict(manifest.files)
    for name, part in content.items():
        (folder / name).write_bytes(part)
        files[name] = sha256(part)
    kept = {name: digest for name, digest in files.items() if (folder / name).exists()}
    (folder / MANIFEST).write_bytes(replace(manifest, files=kept, **changes).to_bytes())


def state(folder: Path, **changes: Any) -> None:
    """Write a manifest of any content, with a digest that fits."""
    given = json.loads((folder / MANIFEST).read_text()) | changes
    del given["digest"]
    digest = sha256(json.dumps(given, sort_keys=True, separators=(",", ":")).encode())
    whole = given | {"digest": digest}
    (folder / MANIFEST).write_text(json.dumps(whole, sort_keys=True, indent=1) + "\n")


def as_format(folder: Path, form: str, content: dict[str, bytes]) -> None:
    """Let a package be of another format."""
    (folder / "model.onnx").unlink()
    forge(folder, content, format=form)


CASES: dict[str, tuple[Callable[[Path, Path], None], str]] = {}
"""By name: what is done to a folder (with the file that hostile code would make), and words."""


def case(name: str, words: str):
    """Enter a way of being hostile."""

    def enter(build):
        CASES[name] = (build, words)
        return build

    return enter
