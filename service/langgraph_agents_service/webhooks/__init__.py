"""Tells others how a run ended: a POST to the address that the run's request named."""
