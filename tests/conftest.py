"""`--must-run`: tests that fail where they would be skipped; `-m gpu` on a bare machine.

Coverage is measured in the first cases of each test, and in none that is marked `uncovered`: other
tests reach the same lines, and to note them doubles the time.
"""

from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

COVERED = 5  # cases
_COVERS = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--must-run",
        action="append",
        default=[],
        metavar="FILES",
        help="fail, not skip, the tests of these files, e.g. test_emulator*.py",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m gpu` files without such tests are not read: a device may lack what they import."""
    if config.getoption("markexpr") != "gpu" or collection_path.suffix != ".py":
        return None
    text = collection_path.read_text(encoding="utf-8")
    return None if "mark.gpu" in text or "from machines import" in text else True


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None]:
    for pattern in config.getoption("must_run"):
        if not any(item.path.match(pattern) for item in items):
            raise pytest.UsageError(f"--must-run {pattern}: no such test")
    yield
    cases: Counter[str] = Counter()
    for item in items:
        test = item.nodeid.partition("[")[0]
        cases[test] += 1
        if cases[test] > COVERED:
            item.add_marker("uncovered")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool, bool]:
    """pytest-cov's own marker pauses coverage for one call, and starts it again, at 3 ms each."""
    plugin = item.config.pluginmanager.getplugin("_cov")
    if plugin is not None and plugin.cov_controller is not None:
        control, wanted = plugin.cov_controller, item.get_closest_marker("uncovered") is None
        # Workers of pytest-xdist cover from the start, too, though `started` is false there.
        if item.config.stash.get(_COVERS, True) != wanted:
            (control.resume if wanted else control.pause)()
            item.config.stash[_COVERS] = wanted
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _judged(item, (yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _judged(collector, (yield))


def _judged(
    node: pytest.Item | pytest.Collector, report: pytest.TestReport | pytest.CollectReport
) -> pytest.TestReport | pytest.CollectReport:
    expected = hasattr(report, "wasxfail")
    patterns = node.config.getoption("must_run")
    if report.skipped and not expected and any(node.path.match(pattern) for pattern in patterns):
        report.outcome = "failed"
        report.longrepr = f"{node.nodeid} must run: {report.longrepr[2]}"
    return report
