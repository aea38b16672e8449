"""The policy pack, as the engine starts it: ``pulumi up --policy-pack policies``."""

import sys
from pathlib import Path

# The engine runs this folder; the rules are a package in the folder around it.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from pulumi_policy import PolicyPack  # noqa: E402

from policies.pack import policies  # noqa: E402

if __name__ == "__main__":
    PolicyPack("langgraph-agents", policies())
