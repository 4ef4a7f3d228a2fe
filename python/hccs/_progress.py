# SPDX-License-Identifier: Apache-2.0
"""Progress of long calls."""

import contextlib
import sys


@contextlib.contextmanager
def report(progress, what, unit):
    """The callback (done, total) for `progress=`: a callable as it is, none for False; for None a tqdm bar where
    standard error is a terminal and tqdm is installed."""
    if callable(progress):
        yield progress
        return
    if progress is not None and progress is not False:
        raise TypeError(f"progress must be a callable (done, total), False or None, not {type(progress).__name__}")
    tqdm = None
    if progress is None and sys.stderr is not None and sys.stderr.isatty():
        with contextlib.suppress(ImportError):
            from tqdm import tqdm
    if tqdm is None:
        yield None
        return
    with tqdm(desc=what, unit=unit) as bar:

        def show(done, total):
            bar.total = total
            bar.update(done - bar.n)

        yield show
