"""The engine's provider protocol, and the packages that are answered by it without a cloud."""
