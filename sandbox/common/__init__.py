"""What every room of the sandbox stands on: its files, processes, namespaces and words to the user."""
