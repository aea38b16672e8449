"""A quick start for a short run."""

import gc


def fast_start() -> None:
    """Never collect: what a plan is made of lives to the end, and looking at all of it again and again takes a third
    of the time, the more the larger the stack is."""
    gc.disable()
