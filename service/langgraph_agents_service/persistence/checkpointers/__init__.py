"""LangGraph's own savers, made fit for many runs at once and for servers that go away."""
