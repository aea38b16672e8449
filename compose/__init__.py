"""A stack on a laptop or one server, by Docker Compose."""
