"""What the program would make, seen without an engine, a network or credentials."""
