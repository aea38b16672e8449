"""A quick start for a short run."""

import gc


def fast_start() -> None:
    """Collect far less often: imports and a plan are objects that stay, and looking at them again takes half the time.

    Garbage in cycles is still collected, so that memory grows with the plan and not with the run.
    """
    # About what a small stack makes; a large one is collected a few times on the way.
    gc.set_threshold(1_000_000, 50, 1000)
