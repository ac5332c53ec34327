"""`gpuols fit`: from a file to a file, and one line for every mistake."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpuols
from gpuols import cli, filefit, flights
from gpuols.filefit import fit_file

FORMULA = "y ~ x + z"
KEYS = ["shop", "year"]


def made(n=300):
    rng = np.random.default_rng(3)
    frame = pl.DataFrame(
        {
            "shop": rng.choice(["a", "b", "c"], n),
            "year": rng.integers(2019, 2022, n),
            "x": rng.normal(size=n),
            "z": rng.integers(0, 9, n),
            "w": rng.random(n),
            "city": rng.choice(["Rome", "Oslo"], n),
        }
    )
    frame = frame.with_columns(y=2 * pl.col("x") - pl.col("z") + rng.normal(size=n))
    hole = pl.int_range(pl.len())
    return frame.with_columns(
        x=pl.when(hole != 5).then("x"),
        z=pl.when(hole != 7).then("z"),
        y=pl.when(hole != 9).then("y"),
    )


DATA = made()
READ = {
    ".parquet": pl.read_parquet,
    ".pq": pl.read_parquet,
    ".csv": pl.read_csv,
    ".feather": pl.read_ipc,
    ".arrow": pl.read_ipc,
    ".ipc": pl.read_ipc,
}
WRITE = {
    ".parquet": pl.DataFrame.write_parquet,
    ".csv": pl.DataFrame.write_csv,
    ".feather": pl.DataFrame.write_ipc,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for ending, write in WRITE.items():
        write(DATA, tmp_path / f"rows{ending}")
    return tmp_path


def files(folder):
    return sorted(path.name for path in folder.iterdir())


# From a file to a file


@pytest.mark.parametrize("ending", WRITE)
@pytest.mark.parametrize("by", [["shop"], KEYS, ["shop,year"], []])
def test_the_file_holds_what_fit_frame_finds(folder, ending, by):
    report = fit_file(f"rows{ending}", FORMULA, by=by, out="fits.parquet")
    keys = {0: None, 1: by[0].split(",") if by else None, 2: by}[len(by)]
    expected = gpuols.fit_frame(DATA, FORMULA, by=keys)
    assert pl.read_parquet("fits.parquet").equals(expected.to_frame(), null_equal=True)
    np.testing.assert_array_equal(report.result.params, expected.params)
    assert report.result.rows_dropped == 3
    assert files(folder) == ["fits.parquet", *(f"rows{end}" for end in sorted(WRITE))]


@pytest.mark.parametrize("out", READ)
def test_the_ending_tells_how_it_is_written(folder, out):
    fit_file("rows.parquet", FORMULA, by=["shop"], out=f"fits{out}")
    found = READ[out](f"fits{out}")
    expected = gpuols.fit_frame(DATA, FORMULA, by="shop").to_frame()
    assert found.columns == expected.columns
    assert found["coef"].to_list() == expected["coef"].to_list()
    assert found["status"].to_list() == expected["status"].to_list()


def test_a_file_that_is_there_is_replaced(folder):
    (folder / "fits.csv").write_text("before")
    fit_file("rows.csv", FORMULA, out="fits.csv")
    assert pl.read_csv("fits.csv").shape == (3, 9)


@pytest.mark.parametrize("ending", WRITE)
def test_standard_input_is_read(folder, ending, monkeypatch):
    content = io.TextIOWrapper(io.BytesIO((folder / f"rows{ending}").read_bytes()))
    monkeypatch.setattr(sys, "stdin", content)
    found = fit_file("-", FORMULA, by=["shop"]).result
    np.testing.assert_array_equal(found.params, gpuols.fit_frame(DATA, FORMULA, by="shop").params)


def test_options_are_passed_on(folder):
    options = {"weights": "w", "ridge": 0.5, "solver": "accurate", "singular": "nan", "tol": 1e-6}
    found = fit_file("rows.csv", FORMULA, by=["shop"], **options).result
    expected = gpuols.fit_frame(DATA, FORMULA, by="shop", **options)
    np.testing.assert_array_equal(found.params, expected.params)
    assert found.tol == 1e-6


def test_text_is_read_for_what_it_says(folder):
    (folder / "text.csv").write_text(
        "y,x,k,unused\n1,1,01,u\n NaN,2,2,v\n2.5 ,NA,x,w\n"
        "3,-4e0,,\n7,null,2,9\n5,6,01,9\n0,8,01,9\n"
    )
    found = fit_file("text.csv", "y ~ x", by=["k"])
    assert found.result.rows_dropped == 4
    assert found.result.keys[0].tolist() == ["01", "2", "x"]
    assert found.result.nobs.tolist() == [3, 0, 0]
    expected = gpuols.fit([[1.0], [6.0], [8.0]], [1.0, 5.0, 0.0], add_intercept=True)
    np.testing.assert_allclose(found.result.params[0], expected.params, rtol=1e-13)


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        (["12345678901234567890", "12345678901234567891"], None),
        (["02134", "2134"], None),
        (["1e5", "100000"], ["100000", "1e5"]),
        (["10", "9"], [9, 10]),
        (["2024-01-02", "2024-01-01"], ["2024-01-01", "2024-01-02"]),
    ],
)
def test_keys_are_not_changed(folder, keys, kept):
    lines = "".join(f"{i * i},{i},{keys[i % 2]}\n" for i in range(8))
    (folder / "keys.csv").write_text("y,x,k\n" + lines)
    found = fit_file("keys.csv", "y ~ x", by=["k"], out="fits.parquet")
    assert found.result.keys[0].tolist() == (kept or keys)
    assert pl.read_parquet("fits.parquet")["k"].unique().sort().to_list() == (kept or keys)


def test_columns_that_nobody_named_are_not_looked_at(folder):
    (folder / "odd.csv").write_text(
        "y,x,odd\n" + "".join(f"{i * i},{i},{'x' * i}\n" for i in range(9))
    )
    assert fit_file("odd.csv", "y ~ x").result.nobs == 9


@pytest.mark.parametrize("by", [["tailnum"], ["origin", "dest"]])
def test_flights_are_those_of_fit_groups(tmp_path, by):
    try:
        source = flights.find()
    except flights.DataError as error:
        pytest.skip(str(error))
    with ZipFile(source) as archive:
        archive.extract("flights.csv", tmp_path)
    path = tmp_path / "flights.csv"
    frame = pl.read_csv(path, null_values=["NA"], infer_schema_length=None)
    frame.write_parquet(path.with_suffix(".parquet"))
    expected = gpuols.fit_groups(
        frame["dep_delay", "air_time", "distance"].to_numpy(),
        frame["arr_delay"].to_numpy(),
        tuple(frame[name] for name in by),
        add_intercept=True,
        missing="drop",
    )
    known = [i for i, key in enumerate(expected.keys[0]) if key is not None]
    for file in (path, path.with_suffix(".parquet")):
        found = fit_file(str(file), "arr_delay ~ dep_delay + air_time + distance", by=by).result
        for name in ("params", "bse", "status", "nobs", "error_bound"):
            wanted = getattr(expected, name)[known]
            np.testing.assert_array_equal(getattr(found, name), wanted, err_msg=name)
        assert found.rows_dropped == 9430


# What is said


def run(*words):
    return cli.main(["fit", *words])


def test_a_short_table_is_shown(folder, capsys):
    assert run("rows.csv", FORMULA, "--by", "shop", "--by", "year", "--out", "fits.csv") == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    lines = shown.out.splitlines()
    assert lines[0].startswith("9 regressions: 9 OK; 3 rows dropped; p=3, engine='cpu:num")
    assert re.fullmatch(r"\d+\.\d\d s to read and fit", lines[1])
    assert lines[3].split() == [
        *("shop", "year", "response", "term", "coef", "std_err", "t", "p_value", "nobs"),
        *("rsquared", "status"),
    ]
    assert [line.split()[0] for line in lines[4:12]] == ["a"] * 8
    assert lines[12:] == ["... and 19 rows more", "", "27 rows written to fits.csv"]


def test_without_out_nothing_is_written(folder, capsys):
    before = files(folder)
    assert run("rows.csv", FORMULA) == 0
    assert "written" not in capsys.readouterr().out
    assert files(folder) == before


def test_a_bar_is_shown_on_a_terminal_only(folder, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for kind, shown in ((Terminal, True), (io.StringIO, False)):
        stream = kind()
        monkeypatch.setattr(sys, "stderr", stream)
        assert run("rows.csv", FORMULA, "--by", "shop") == 0
        assert ("regressions" in stream.getvalue()) == shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nope.csv", FORMULA], "No such file"),
        (["rows.xlsx", FORMULA], "'.xlsx'.*expected one of .parquet"),
        (["rows", FORMULA], "without an ending"),
        (["empty.csv", FORMULA], "empty file"),
        (["header.csv", FORMULA], "without rows"),
        (["folder.csv", FORMULA], "folder"),
        (["broken.parquet", FORMULA], "parquet"),
        (["broken.feather", FORMULA], "broken.feather"),
        (["ragged.csv", "a ~ b"], "ragged.csv"),
        (["rows.csv", "y ~ x +"], "Operator `\\+`"),
        (["rows.csv", "x"], "without a response"),
        (["rows.csv", "y ~ xx"], "'xx', which is no column.*did you mean 'x'"),
        (["rows.csv", "y ~ Z"], "did you mean 'z'"),
        (["rows.csv", "city ~ x"], "response 'city'"),
        (["rows.csv", "y ~ x", "--weights", "city"], "column 'city' of strings"),
        (["rows.csv", "y ~ x", "--weights", "ww"], "--weights.*did you mean 'w'"),
        (["rows.parquet", "y ~ x", "--weights", "ww"], "--weights.*did you mean 'w'"),
        (["rows.csv", "y ~ x", "--by", "shp"], "--by: .*did you mean 'shop'"),
        (["rows.parquet", "y ~ x", "--by", "shop,yeer"], "--by: .*did you mean 'year'"),
        (["rows.csv", "y ~ x", "--missing", "raise"], "missing values in column 'x': 1"),
        (["rows.csv", "y ~ x", "--tol", "-1"], "positive"),
        (["rows.csv", "y ~ x", "--ridge", "-1"], "ridge"),
        (["rows.csv", "y ~ x", "--device", "gpu"], "'gpu'"),
        (["rows.csv", "y ~ x", "--out", "fits.doc"], "'.doc'"),
        (["rows.csv", "y ~ x", "--out", "nowhere/fits.csv"], "folder that is there"),
        (["rows.csv", "y ~ x", "--out", "rows.csv"], "the data itself"),
        (["rows.csv", "y ~ x", "--out", "folder.csv"], "a folder"),
        (["rows.csv", "y ~ x", "--out", f"{'x' * 300}.csv"], "too long"),
        (["old.feather", "y ~ x"], "feather file of version 1"),
        (["wide.csv", "y ~ x"], "UTF-16"),
        (["twice.csv", "y ~ x"], "two columns named 'x'"),
        (["one.csv", "y ~ `1`"], "`1`, which is a number"),
        (["rows.csv", "y ~ C(x, x)"], "can't be evaluated"),
        (["rows.csv", "C() ~ x"], "formula: "),
        (["rows.csv", "x.values[:3] ~ x"], "formula: "),
        (["rows.csv", "y ~ x", "--weights", "shop"], "column 'shop' of strings.*; convert it"),
        (["-", "y ~ x"], "nothing on standard input"),
    ],
)
def test_a_mistake_is_told_in_one_line_and_leaves_nothing(folder, capsys, monkeypatch, words, said):
    (folder / "empty.csv").touch()
    (folder / "header.csv").write_text("y,x,z\n")
    (folder / "folder.csv").mkdir()
    (folder / "broken.parquet").write_text("not a table")
    (folder / "broken.feather").write_text("not a table")
    (folder / "old.feather").write_bytes(b"FEA1 and more")
    (folder / "wide.csv").write_text("y,x\n1,2\n", encoding="utf-16")
    (folder / "twice.csv").write_text("y,x,x\n1,2,3\n2,3,5\n")
    (folder / "one.csv").write_text("y,1\n1,2\n2,3\n3,5\n")
    monkeypatch.setattr(sys, "stdin", None)
    (folder / "ragged.csv").write_text("a,b\n1,2\n3,4,5\n")
    before = files(folder)
    out = [] if "--out" in words else ["--out", "fits.csv"]
    assert run(*words, *out) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.search(said, shown.err), shown.err
    assert shown.err.startswith("gpuols fit: ")
    assert shown.err.count("\n") == 1
    assert files(folder) == before


@pytest.mark.parametrize("ending", WRITE)
def test_a_name_is_no_pattern(folder, ending):
    for name, source in (("a[1]", "rows"), ("a1", "nope")):
        content = (folder / f"rows{ending}").read_bytes() if source == "rows" else b"another"
        (folder / f"{name}{ending}").write_bytes(content)
    found = fit_file(f"a[1]{ending}", FORMULA)
    assert found.table.equals(fit_file(f"rows{ending}", FORMULA).table)


def test_a_folder_that_may_not_be_written_to_is_told_before_the_work(folder, capsys, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(filefit, "fit_frame", None)
    assert run("rows.csv", FORMULA, "--out", "fits.csv") == 2
    assert "--out: got 'fits.csv'" in capsys.readouterr().err


@pytest.mark.parametrize("cell", ["n/a", "None", "#N/A", "<NA>", " ", "  ", "", "NaN", "null"])
def test_cells_that_say_that_a_value_is_missing(folder, cell):
    (folder / "gaps.csv").write_text(f'y,x\n1,2\n2,3\n3.5,"{cell}"\n4,1\n5,2\n')
    found = fit_file("gaps.csv", "y ~ x")
    assert (found.table["term"].to_list(), found.result.rows_dropped) == (["Intercept", "x"], 1)


@pytest.mark.parametrize("cell", ["?", "-", ".", "abc", '"1,5"', "2021-01-01"])
def test_what_is_no_number_among_numbers_is_told(folder, cell, capsys):
    (folder / "gaps.csv").write_text(f"y,x\n1,2\n2,3\n3.5,{cell}\n4,1\n5,2\n")
    assert run("gaps.csv", "y ~ x") == 2
    said = f"DATA: got {cell.strip(chr(34))!r} in row 2 of column 'x', most of which is numbers"
    assert said in capsys.readouterr().err
    assert len(fit_file("gaps.csv", "y ~ C(x)").table) == 4


def test_text_some_of_which_could_be_numbers_stays_text(folder):
    (folder / "codes.csv").write_text("y,x\n1,7\n2,7b\n3,7c\n4,7\n5,7b\n6,7c\n7,7b\n")
    assert fit_file("codes.csv", "y ~ x").table["term"].to_list()[1:] == ["x[T.7b]", "x[T.7c]"]


def test_the_stream_of_arrow_is_read(folder, monkeypatch):
    DATA.write_ipc_stream("rows.stream.arrow")
    expected = fit_file("rows.parquet", FORMULA, by=KEYS).table
    assert fit_file("rows.stream.arrow", FORMULA, by=KEYS).table.equals(expected)
    content = io.TextIOWrapper(io.BytesIO((folder / "rows.stream.arrow").read_bytes()))
    monkeypatch.setattr(sys, "stdin", content)
    assert fit_file("-", FORMULA, by=KEYS).table.equals(expected)


def test_a_column_that_nobody_named_may_be_of_any_type(folder):
    table = pa.table(
        {
            "y": [1.0, 2.0, 4.0],
            "x": [1.0, 2.0, 3.0],
            "wide": pa.array([1, 2, 3]).cast(pa.decimal256(50, 2)),
        }
    )
    pq.write_table(table, "wide.parquet")
    assert len(fit_file("wide.parquet", "y ~ x").table) == 2
    with pytest.raises((gpuols.InputError, gpuols.InputTypeError), match="wide"):
        fit_file("wide.parquet", "y ~ wide")


@pytest.mark.parametrize("words", [[], ["rows.csv"], ["rows.csv", FORMULA, "--missing", "maybe"]])
def test_a_mistake_in_the_command_shows_how_it_is_used(folder, capsys, words):
    with pytest.raises(SystemExit) as ended:
        run(*words)
    assert ended.value.code == 2
    assert "usage: gpuols fit" in capsys.readouterr().err


def test_dependent_columns_may_be_refused(folder, capsys):
    assert run("rows.csv", "y ~ x + w + I(w + x)", "--singular", "raise", "--out", "o.csv") == 1
    assert "RANK_DEFICIENT" in capsys.readouterr().err
    assert "o.csv" not in files(folder)


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        OSError("No space left on device"),
        pl.exceptions.ComputeError("No space left on device\nand more"),
    ],
    ids=["of the system", "of polars", "its own"],
)
def test_a_file_that_can_not_be_written_is_told(folder, capsys, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(pl.DataFrame, "write_csv", fail)
    before = files(folder)
    assert run("rows.csv", FORMULA, "--out", "fits.csv") == 2
    assert "'fits.csv' (No space left on device)" in capsys.readouterr().err
    assert files(folder) == before


@pytest.mark.parametrize("library", ["polars", "narwhals", "formulaic"])
def test_a_library_that_is_not_there_is_named(folder, capsys, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    assert run("rows.csv", "y ~ np.exp(x)") == 2
    assert re.search(rf'{library}.*pip install "gpuols\[\w+\]"', capsys.readouterr().err)


# Ctrl-C


@pytest.mark.parametrize("where", ["fit_frame", "_write"])
def test_an_interrupt_leaves_no_file(folder, capsys, monkeypatch, where):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(filefit, where, interrupt)
    before = files(folder)
    assert run("rows.csv", FORMULA, "--out", "fits.csv") == 130
    assert capsys.readouterr().err == "gpuols: interrupted\n"
    assert files(folder) == before


def test_a_command_that_waits_can_be_interrupted(folder):
    before = files(folder)
    code = (
        "import sys, narwhals, polars, gpuols.cli, gpuols.filefit\n"
        "print('ready', flush=True)\n"
        f"sys.exit(gpuols.cli.main(['fit', '-', '{FORMULA}', '--out', 'fits.csv']))"
    )
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    place = {**os.environ, "PYTHONPATH": str(Path(gpuols.__file__).parent.parent)}
    with subprocess.Popen([sys.executable, "-c", code], text=True, env=place, **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)  # until it waits for rows
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told == "gpuols: interrupted\n"
    assert files(folder) == before
