"""Read a package's folder without trusting it: plain files of known names, then digests.

Every file is read once; what was checked is what is used, so nothing can be swapped in between.
"""

import os
import stat
from pathlib import Path

from components.errors import PackageError, TamperedPackageError
from components.packages.manifest import (
    GOLDEN,
    MANIFEST,
    MODEL_FILES,
    REFERENCE,
    Manifest,
    sha256,
)

_MOST_BYTES = 1 << 30
_MOST_BYTES_OF = {MANIFEST: 4 << 20, GOLDEN: 64 << 20, REFERENCE: 64 << 20}


def read_package(folder: Path, *, digest: str | None = None) -> tuple[Manifest, dict[str, bytes]]:
    """Read and check a package: the manifest, then every file against its digest.

    Parameters
    ----------
    folder : Path
        The package as downloaded.
    digest : str, optional
        The digest that was registered; without it only the package's own is checked.

    Returns
    -------
    manifest : Manifest
    files : dict of str to bytes
        The content of every file but the reference, by name; nothing is parsed yet.

    Raises
    ------
    PackageError
        If the folder holds anything but the plain files of a package.
    TamperedPackageError
        If any byte is not the one that was registered.

    """
    manifest = read_manifest(folder)
    _check_names(folder, manifest)
    if digest is not None and manifest.digest != digest:
        raise TamperedPackageError(
            f"{folder} is not the package that was registered: need digest {digest}, found "
            f"{manifest.digest}; remove the folder so that it is fetched again"
        )
    files = {name: read_checked(folder, manifest, name) for name in sorted(manifest.files)}
    del files[REFERENCE]
    return manifest, files


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a package; only its own digest is checked."""
    if folder.is_symlink() or not folder.is_dir():
        found = "a link" if folder.is_symlink() else "no folder"
        raise PackageError(f"a package is a folder of plain files; {folder} is {found}")
    content = _read_plain(folder / MANIFEST)
    return Manifest.from_bytes(content, source=str(folder / MANIFEST))


def read_checked(folder: Path, manifest: Manifest, name: str) -> bytes:
    """Read one file of a package and check its digest.

    Raises
    ------
    TamperedPackageError
        If its bytes are not those that were registered.

    """
    content = _read_plain(folder / name)
    if sha256(content) != manifest.files[name]:
        raise TamperedPackageError(
            f"{folder / name} is not the file that was packaged: need SHA-256 "
            f"{manifest.files[name]}, found {sha256(content)}; remove the folder so that the "
            "package is fetched again"
        )
    return content


def _check_names(folder: Path, manifest: Manifest) -> None:
    known = {MANIFEST, *manifest.files}
    for entry in sorted(os.scandir(folder), key=lambda found: found.name):
        if entry.is_symlink() or not entry.is_file(follow_symlinks=False):
            raise PackageError(f"{entry.path} is not a plain file; a package holds nothing else")
        if entry.name not in known:
            raise PackageError(
                f"{entry.path} does not belong to a package of format {manifest.format} "
                f"({', '.join(MODEL_FILES[manifest.format])}); it is not opened"
            )


def _read_plain(file: Path) -> bytes:
    most = _MOST_BYTES_OF.get(file.name, _MOST_BYTES)
    # No links, and no waiting for a pipe that somebody put in place of a file.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        opened = os.open(file, flags)
    except FileNotFoundError as problem:
        raise PackageError(f"{file} is missing; fetch the package again") from problem
    except OSError as problem:
        raise PackageError(f"{file} cannot be read: {problem.strerror}") from problem
    with os.fdopen(opened, "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise PackageError(f"{file} is not a plain file; a package holds nothing else")
        if status.st_size > most:
            raise PackageError(
                f"{file} has {status.st_size} bytes; a package's file has at most {most}"
            )
        return stream.read(most)
