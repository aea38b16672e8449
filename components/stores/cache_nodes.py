"""The node types that ElastiCache offers for Valkey and Redis OSS: names only, without resources."""

_BURSTABLE = ("micro", "small", "medium")
_INTEL = ("large", "xlarge", "2xlarge", "4xlarge", "12xlarge", "24xlarge")
_GRAVITON = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")

# https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/CacheNodes.SupportedTypes.html, November 2026.
_FAMILIES = {
    **dict.fromkeys(("t2", "t3", "t4g"), _BURSTABLE),
    "m4": ("large", "xlarge", "2xlarge", "4xlarge", "10xlarge"),
    "r4": ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge"),
    **dict.fromkeys(("m5", "r5"), _INTEL),
    **dict.fromkeys(("m6g", "m7g", "r6g", "r7g"), _GRAVITON),
    "r6gd": _GRAVITON[1:],
    "c7gn": _GRAVITON,
}

NODE_TYPES = frozenset(f"cache.{family}.{size}" for family, sizes in _FAMILIES.items() for size in sizes)
"""Every node type, such as ``cache.t4g.micro``."""
