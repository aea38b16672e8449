"""LangGraph's stores, for what outlives a thread: one for each owner, made fit for servers that go away."""
