"""What outlives a process: checkpoints, threads, runs, and the servers that keep them."""
