"""A file is there whole or not at all."""

import os

import pytest

from gpuols.files import written


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("before", [None, b"before"])
def test_a_file_is_written(tmp_path, before):
    path = tmp_path / "a.bin"
    if before is not None:
        path.write_bytes(before)
    with written(path) as file:
        file.write(b"after")
        file.flush()
        assert (path.read_bytes() if path.exists() else None) == before
    assert path.read_bytes() == b"after"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("before", [None, b"before"])
def test_what_is_not_finished_leaves_nothing(tmp_path, before, error):
    path = tmp_path / "a.bin"
    if before is not None:
        path.write_bytes(before)
    with pytest.raises(type(error) if isinstance(error, OSError) else error):
        broken_off(path, error)
    assert names(tmp_path) == ([] if before is None else ["a.bin"])
    assert before is None or path.read_bytes() == before


def broken_off(path, error):
    with written(path) as file:
        file.write(b"half")
        raise error


@pytest.mark.skipif(os.name != "posix", reason="permissions are others elsewhere")
@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_permissions_are_kept(tmp_path, mode):
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")
    path.chmod(mode)
    with written(path):
        pass
    assert path.stat().st_mode & 0o777 == mode


def test_a_name_as_long_as_may_be(tmp_path):
    path = tmp_path / ("n" * 255)
    with written(path) as file:
        file.write(b"1")
    assert names(tmp_path) == [path.name]


def test_a_relative_path_is_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with written("a.bin"):
        pass
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.skipif(os.name != "posix", reason="links need a privilege elsewhere")
def test_a_link_stays_one(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.bin").write_bytes(b"before")
    (tmp_path / "link").symlink_to(tmp_path / "there" / "a.bin")
    with written(tmp_path / "link") as file:
        file.write(b"after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "a.bin").read_bytes() == b"after"
    assert names(tmp_path / "there") == ["a.bin"]


@pytest.mark.parametrize("path", ["", ".", "folder", "/"])
def test_a_folder_is_refused(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="no plain file"), written(path):
        pass
    assert names(tmp_path) == ["folder"]


@pytest.mark.skipif(os.name != "posix", reason="devices and pipes are files on POSIX only")
def test_what_is_no_plain_file_is_left_alone(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no plain file"), written(tmp_path / "pipe"):
        pass
    assert (tmp_path / "pipe").is_fifo()


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError), written(tmp_path / "absent" / "a.bin"):
        pass
