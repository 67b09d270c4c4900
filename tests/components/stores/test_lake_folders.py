"""Files beside the rows: the same promises in a folder and in an object store."""

import pytest
from pyarrow.fs import LocalFileSystem

from components.stores.lake.folders import LocalFolder, RemoteFolder


@pytest.fixture(params=["a folder", "an object store"])
def folder(request, tmp_path):
    """A stand-in for the store: the same client code on the local file system."""
    if request.param == "a folder":
        return LocalFolder(tmp_path)
    (tmp_path / "_kept").mkdir()
    return RemoteFolder(LocalFileSystem(), str(tmp_path))


def test_a_file_is_written_read_listed_and_deleted(folder) -> None:
    assert folder.read("_kept/1.json") is None
    assert folder.names("nowhere") == {}
    folder.write("_kept/1.json", b"one")
    folder.write("_kept/1.json", b"other")
    assert folder.read("_kept/1.json") == b"other"
    assert folder.names("_kept") == {"_kept/1.json": 5}
    assert folder.names() == {}
    assert folder.names(deep=True) == {"_kept/1.json": 5}
    with folder.opened("_kept/1.json") as stream:
        assert stream.read() == b"other"
    folder.delete("_kept/1.json")
    folder.delete("_kept/1.json")
    assert folder.read("_kept/1.json") is None


def test_a_file_that_was_made_beside_takes_its_place(folder) -> None:
    with folder.beside("part.parquet") as made:
        made.write_bytes(b"rows")
        folder.put("part.parquet", made)
    assert folder.read("part.parquet") == b"rows"
    assert list(folder.names(deep=True)) == ["part.parquet"]
