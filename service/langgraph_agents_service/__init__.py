"""The agent service: serves every graph of a langgraph.json over the Agent Server API."""
