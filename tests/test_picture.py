"""The picture of coefficients: a PNG that shows what it should, or a reason why not."""

import os
import subprocess
import sys

import numpy as np
import pytest

from gpuols import Status, picture
from gpuols.picture import PictureError, Slope

matplotlib = pytest.importorskip("matplotlib", reason="matplotlib comes with the extra demo")

SIGNATURE = b"\x89PNG\r\n\x1a\n"
BLUE, ORANGE = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)


def slope(value, spread=0.1, name="size"):
    value = np.asarray(value, float)
    interval = np.stack([value - spread, value + spread], axis=-1)
    return Slope(name, "minutes per mile", 1.0, "1, the same", value, interval)


def draw(path, slopes, status):
    picture.draw(path, "A title", "aircraft", slopes, np.asarray(status, np.int8))


@pytest.fixture
def words(monkeypatch):
    """All text of the pictures that are drawn."""
    from matplotlib.text import Text

    found, plain = set(), Text.draw

    def listen(self, *arguments, **options):
        found.add(self.get_text())
        return plain(self, *arguments, **options)

    monkeypatch.setattr(Text, "draw", listen)
    return found


def colours(path):
    """How often each colour is in a picture."""
    from PIL import Image

    with Image.open(path) as image:
        assert image.format == "PNG"
        image.load()
        seen = image.convert("RGB").getcolors(1 << 24)
        return {colour: number for number, colour in seen}


def near(counts, colour):
    return sum(n for c, n in counts.items() if max(np.abs(np.subtract(c, colour))) < 24)


def test_the_file_is_a_png(tmp_path):
    path = tmp_path / "a.png"
    draw(path, [slope([1.0, 2.0, 3.0])], [0, 0, 0])
    assert path.read_bytes().startswith(SIGNATURE)
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_what_is_not_ok_has_another_colour(tmp_path):
    value = np.linspace(0, 1, 300)
    draw(tmp_path / "all.png", [slope(value)], np.zeros(300))
    draw(tmp_path / "some.png", [slope(value)], np.arange(300) % 3 == 0)
    every, some = colours(tmp_path / "all.png"), colours(tmp_path / "some.png")
    # The legend has both.
    assert 0 < 4 * near(every, ORANGE) < near(some, ORANGE)
    assert min(near(every, BLUE), near(some, BLUE)) > 500


def test_the_words_say_how_many(tmp_path, words):
    value = np.append(np.arange(100.0), [np.nan, 50.0, 1e6, 7.0])
    status = np.append(np.zeros(100), [Status.TOO_FEW_ROWS, *[Status.RANK_DEFICIENT] * 3])
    draw(tmp_path / "a.png", [slope(value, name="length"), slope(2 * value)], status)
    assert {"A title", "length\n", "size\n", "minutes per mile\ndashed: 1, the same"} <= words
    assert "OK: 100 aircraft" in words
    assert "not OK: 4 aircraft (3 RANK_DEFICIENT, 1 TOO_FEW_ROWS)" in words
    assert {"median 49.5, 0 beyond the axis", "median 99, 0 beyond the axis"} <= words
    assert "3 of 4 have it, 1 beyond the axis" in words


def test_a_few_extremes_do_not_stretch_the_axis(tmp_path, words):
    value = np.append(np.linspace(1.0, 2.0, 998), [-1e9, 1e9])
    draw(tmp_path / "a.png", [slope(value)], np.zeros(1000))
    assert "median 1.5, 2 beyond the axis" in words
    assert {"1.0", "2.0"} <= words


@pytest.mark.parametrize(
    ("value", "status"),
    [
        pytest.param([], [], id="none"),
        pytest.param([1.0], [0], id="one"),
        pytest.param([1.0, 1.0], [0, 0], id="equal"),
        pytest.param([1.0, 2.0], [1, 1], id="no-ok"),
        pytest.param([np.nan, np.nan], [4, 4], id="no-number"),
        pytest.param([0.0, 1.0, np.inf], [0, 0, 1], id="infinite"),
        pytest.param([1e300, -1e300], [0, 0], id="huge"),
    ],
)
def test_odd_data_is_drawn(tmp_path, value, status):
    draw(tmp_path / "a.png", [slope(value, spread=np.nan), slope(value, spread=0.5)], status)
    assert sum(colours(tmp_path / "a.png").values()) == 1320 * 960


def test_the_readers_own_settings_change_nothing(tmp_path):
    draw(tmp_path / "plain.png", [slope([1.0, 2.0])], [0, 1])
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30.0}):
        draw(tmp_path / "styled.png", [slope([1.0, 2.0])], [0, 1])
        assert matplotlib.rcParams["font.size"] == 30.0
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "styled.png").read_bytes()


def test_no_window_is_ever_opened(tmp_path):
    script = f"""
import sys
import numpy as np
from gpuols.picture import Slope, draw
assert not any(name.partition(".")[0] in ("matplotlib", "PIL") for name in sys.modules)
draw({str(tmp_path / "a.png")!r}, "", "", [Slope("", "", 0.0, "", np.ones(2), np.ones((2, 2)))],
     np.zeros(2))
names = [name for name in sys.modules if name.startswith("matplotlib.")]
assert "matplotlib.pyplot" not in names
print([name for name in names if name.startswith("matplotlib.backends.backend_")])
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, "MPLBACKEND": "tkagg", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stdout == "['matplotlib.backends.backend_agg']\n"


@pytest.mark.parametrize("name", ["matplotlib", "PIL"])
def test_without_matplotlib(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(PictureError, match=r'matplotlib.*pip install "gpuols\[demo\]"') as caught:
        draw(tmp_path / "a.png", [slope([1.0])], [0])
    assert len(str(caught.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "reason"), [("absent/a.png", "No such file"), ("", "no plain file")]
)
def test_a_path_that_cannot_be_written(tmp_path, monkeypatch, path, reason):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PictureError, match=rf"^can't write '{path}': .*{reason}"):
        draw(path, [slope([1.0])], [0])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("encoder error -2")])
def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch, error):
    from PIL import Image

    def save(self, file, *arguments, **options):
        file.write(SIGNATURE)
        raise error

    path = tmp_path / "a.png"
    path.write_bytes(b"before")
    monkeypatch.setattr(Image.Image, "save", save)
    expected = PictureError if isinstance(error, OSError) else error
    with pytest.raises(expected, match="encoder error" if isinstance(error, OSError) else None):
        draw(path, [slope([1.0])], [0])
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == b"before"
