"""The name of the snapshot that is taken of a store when it is deleted."""

import pulumi
import pulumi_random as random

_BYTES = 4


def final_snapshot(name: str, store: str, parent: pulumi.Resource) -> pulumi.Output[str]:
    """A name that no later store of the same name gives its own: AWS refuses a deletion whose snapshot is there.

    Args:
        name: the logical name's beginning.
        store: the store's name.
        parent: the component that it is of.
    """
    suffix = random.RandomId(
        f"{name}-final-snapshot", byte_length=_BYTES, opts=pulumi.ResourceOptions(parent=parent)
    )
    return pulumi.Output.concat(store, "-final-", suffix.hex)
