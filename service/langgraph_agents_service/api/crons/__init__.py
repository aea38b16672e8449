"""Crons: made, changed and found by callers, and carried out."""
