"""How many connections an RDS instance class takes: pure arithmetic over the memory of the classes."""

_GIB = 1024**3
_MIB = 1024**2

# Memory in GiB by size within a family (https://aws.amazon.com/rds/instance-types/, November 2026).
_BURSTABLE = {"micro": 1, "small": 2, "medium": 4, "large": 8, "xlarge": 16, "2xlarge": 32}
_GENERAL = {
    "large": 8,
    "xlarge": 16,
    "2xlarge": 32,
    "4xlarge": 64,
    "8xlarge": 128,
    "12xlarge": 192,
    "16xlarge": 256,
}
_MEMORY_OPTIMISED = {size: 2 * gib for size, gib in _GENERAL.items()}
_FAMILIES = {
    **dict.fromkeys(("t3", "t4g"), _BURSTABLE),
    **dict.fromkeys(("m5", "m6g", "m6i", "m7g", "m7i", "m8g"), _GENERAL),
    **dict.fromkeys(("r5", "r6g", "r6i", "r7g", "r7i", "r8g"), _MEMORY_OPTIMISED),
}

#: Memory of each known instance class, in GiB.
MEMORY_GIB = {
    f"db.{family}.{size}": gib for family, sizes in _FAMILIES.items() for size, gib in sizes.items()
}

# RDS's own default, LEAST({DBInstanceClassMemory/9531392}, 5000):
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html#RDS_Limits.MaxConnections
_BYTES_A_CONNECTION = 9_531_392
_MOST = 5_000
# DBInstanceClassMemory is what the operating system and RDS's own processes leave of the memory. AWS does not
# say how much they take; this share is at least as much as instances of 1 to 16 GiB were seen to lack.
_RESERVED_BYTES = 256 * _MIB
_RESERVED_SHARE = 0.05


def max_connections(instance_class: str) -> int:
    """How many connections PostgreSQL is set to accept on an instance class.

    The checkpointer's parameter group holds this very number, so that what the settings are checked against
    is what the database does.

    Raises:
        ValueError: an unknown class; the message lists the known families and their sizes.
    """
    if instance_class not in MEMORY_GIB:
        raise ValueError(f"instance_class is {instance_class!r}: use one of {_known_classes()}")
    nominal = MEMORY_GIB[instance_class] * _GIB
    usable = nominal * (1 - _RESERVED_SHARE) - _RESERVED_BYTES
    return min(int(usable / _BYTES_A_CONNECTION), _MOST)


def _known_classes() -> str:
    return "; ".join(f"db.{family}.({'|'.join(sizes)})" for family, sizes in _FAMILIES.items())
