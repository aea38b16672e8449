"""A change to a stack, tried on real pods under load before it is merged."""
