"""The reference agent, and a chat model that needs no provider."""
