"""The HTTP side: the part of the Agent Server API that the official langgraph-sdk uses, and `/invoke`."""
