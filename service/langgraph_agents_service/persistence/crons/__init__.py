"""Crons: runs that are made again and again, by a schedule."""
