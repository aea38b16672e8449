"""Who owns which thread, and which runs wait, execute and have ended."""
