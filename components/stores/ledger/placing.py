"""Where a SQLite file may lie: its locks hold on one host only."""

from collections.abc import Mapping
from pathlib import Path

from components.errors import StoreUnreachableError

NETWORK_SHARES = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "smb2", "9p", "afs", "afpfs", "webdav", "lustre"}
    | {"ceph", "gpfs", "beegfs", "glusterfs", "ncpfs", "fuse.sshfs", "fuse.glusterfs"}
    | {"fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "fuse.davfs"}
)


def refuse_network_share(file: Path, mounts: Mapping[str, str] | None = None) -> None:
    """Refuse a file on a network share, where two hosts could both believe they may write.

    Parameters
    ----------
    file : Path
        The ledger's file; need not exist.
    mounts : mapping of mount point to file system type, optional
        As the machine has them.

    Raises
    ------
    StoreUnreachableError
        If it lies on one.

    """
    kind = _kind_of_mount(file.resolve(), _mounts() if mounts is None else mounts)
    if kind in NETWORK_SHARES:
        raise StoreUnreachableError(
            f"the ledger {file} lies on a network share ({kind}), where SQLite's locks cannot be "
            "trusted; use a local disk, or a postgresql:// URL for several machines"
        )


def _mounts() -> dict[str, str]:
    import psutil

    return {mount.mountpoint: mount.fstype.lower() for mount in psutil.disk_partitions(all=True)}


def _kind_of_mount(file: Path, mounts: Mapping[str, str]) -> str:
    """Name the file system of the deepest mount point above `file`."""
    above = (str(folder) for folder in file.parents)
    return next((mounts[folder] for folder in above if folder in mounts), "")
