"""How other agents call: every assistant is a tool of MCP and an agent of A2A.

What they ask goes over the service's own API, on behalf of whoever asks: its authentication and its bounds hold.
"""
