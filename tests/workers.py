"""Fits in worker processes and threads: `python workers.py SCENE` fails, or prints "done".

Run by test_interop.py in a process of its own, for a process that has threads or has imported
torch or JAX must not be forked.
"""

import faulthandler
import multiprocessing
import os
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Lock, Thread

import numpy as np
from threadpoolctl import threadpool_info

import gpuols
from gpuols.engines import threads

PATIENCE = 10.0
STATISTICS = (
    *("params", "bse", "tvalues", "pvalues", "log10_pvalues", "normalized_cov"),
    *("ssr", "scale", "rsquared", "fvalue", "f_pvalue", "llf", "aic", "nobs", "df_resid"),
    *("rank", "status", "error_bound", "solved_precisely"),
)


def watch():
    """End this child, saying where it stands, before anybody loses patience.

    Not for a parent: a forked child of one that does this waits forever for its watchman.
    """
    faulthandler.dump_traceback_later(PATIENCE, exit=True)


def data():
    """Regressions enough for all threads; one is hard, one is missing a value."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2000, 40, 4)), rng.normal(size=(2000, 40))
    X[1300, :, 3] = X[1300, :, 2] + 1e-7 * rng.normal(size=40)
    y[1900, 5] = np.nan
    return X, y


def fit(X, y):
    """A result of the engine that uses BLAS, some of it computed where it was fitted."""
    result = gpuols.fit(X, y, add_intercept=True, device="cpu:numpy")
    _ = result.pvalues
    return result


def fit_mapped(X, y):
    """As `fit`, where joblib must have put the rows into files that can't be written to."""
    assert isinstance(X, np.memmap)
    assert not X.flags.writeable
    return fit(X, y)


def assert_same(parts, want):
    """Results of consecutive regressions are those of all at once, to the bit."""
    for name in STATISTICS:
        got = np.concatenate([getattr(part, name) for part in parts])
        assert got.tobytes() == getattr(want, name).tobytes(), name


def halves():
    X, y = data()
    return [(X[:1000], y[:1000]), (X[1000:], y[1000:])]


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def limits():
    """Threads of the BLAS libraries that fits use."""
    return {library.num_threads for library in threads._blas()}


def pool(method):
    """Workers of a start method give what the parent gave before there were any."""
    want = fit(*data())
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context, initializer=watch) as workers:
        assert_same(list(workers.map(fit, *zip(*halves(), strict=True))), want)
        assert_same([want], fit(*data()))


@contextmanager
def forking():
    """A process may be forked, though it has threads."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        yield


def in_child(work):
    """Do something in a forked child, which has to succeed."""

    def child():
        watch()
        work()

    with forking():
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
    process.join()
    assert process.exitcode == 0


def meanwhile():
    """A child forked while another thread fits can fit, and leaves BLAS as it was before."""
    X, y = data()
    want, before = fit(X, y), blas_threads()
    inside, on, held = Event(), Event(), []

    def wait(done, total):
        inside.set()
        on.wait(PATIENCE)

    def work():
        assert blas_threads() != before
        threads._set_blas_threads([2] * len(threads._blas()))
        gpuols.fit(X, y, device="cpu:numpy", progress=lambda done, total: held.append(limits()))
        assert set().union(*held) == {1}
        assert blas_threads() == before
        with ThreadPoolExecutor(1) as pool:
            assert_same([pool.submit(fit, X, y).result()], want)

    thread = Thread(
        target=gpuols.fit, args=(X, y), kwargs={"progress": wait, "device": "cpu:numpy"}
    )
    thread.start()
    assert inside.wait(PATIENCE)
    in_child(work)
    on.set()
    thread.join()
    assert blas_threads() == before


def at_the_door():
    """A child forked while another thread is limiting BLAS, which takes locks, can fit."""
    X, y = data()
    want, before = fit(X, y), blas_threads()
    inside, taken, plain = Event(), Lock(), threads._set_blas_threads

    def limit(numbers):
        with taken:
            if not inside.is_set():
                inside.set()
                Event().wait(0.3)
            plain(numbers)

    threads._set_blas_threads = limit
    thread = Thread(target=fit, args=(X, y))
    thread.start()
    assert inside.wait(PATIENCE)
    in_child(lambda: assert_same([fit(X, y)], want))
    thread.join()
    assert blas_threads() == before


def on_the_way():
    """A child forked by what a fit of one task tells of its progress ends it as its parent does."""
    X, y = (part[:9] for part in data())
    want, before, children = fit(X, y), blas_threads(), []

    def tell(done, total):
        assert limits() == {1}
        with forking():
            children.append(os.fork())
        if not children[0]:
            watch()
            assert_same([fit(X, y)], want)

    got = gpuols.fit(X, y, add_intercept=True, device="cpu:numpy", progress=tell)
    assert_same([got], want)
    assert blas_threads() == before
    if not children[0]:
        os._exit(0)
    assert os.waitpid(children[0], 0) == (children[0], 0)


def joblib_workers(backend):
    """joblib's workers give what the parent gave before there were any."""
    import joblib

    want, before = fit(*data()), blas_threads()
    work = joblib.delayed(fit_mapped if backend == "loky" else fit)
    assert_same(
        joblib.Parallel(2, backend, max_nbytes=10_000)(work(X, y) for X, y in halves()), want
    )
    assert blas_threads() == before
    if backend == "loky":
        joblib.externals.loky.get_reusable_executor().shutdown(wait=True)


SCENES = {
    **dict.fromkeys(multiprocessing.get_all_start_methods(), pool),
    "meanwhile": lambda scene: meanwhile(),
    "at_the_door": lambda scene: at_the_door(),
    "on_the_way": lambda scene: on_the_way(),
    "loky": joblib_workers,
    "threading": joblib_workers,
}

if __name__ == "__main__":
    SCENES[sys.argv[1]](sys.argv[1])
    print("done")
