"""What others are still to be told: runs that have ended."""
