"""From a LangGraph project to the build context of its image."""
