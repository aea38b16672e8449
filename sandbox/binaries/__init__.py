"""The binaries that the sandbox runs and the definitions that it loads, from pinned Go modules."""
