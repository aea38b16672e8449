"""Loads a LangGraph project: its langgraph.json and the graphs that it names."""
