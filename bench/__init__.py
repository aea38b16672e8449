"""Benchmarks of the agent service beside its peers (`make bench`)."""
