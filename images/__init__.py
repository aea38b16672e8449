"""From a LangGraph project to the build context of its image."""

import importlib.util
import sys
from pathlib import Path

# `make venv` makes the service importable. A deployment that has requirements.txt alone finds it here.
if importlib.util.find_spec("langgraph_agents_service") is None:
    sys.path.append(str(Path(__file__).parents[1] / "service"))
