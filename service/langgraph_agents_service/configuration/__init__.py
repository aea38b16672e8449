"""The settings of the service, and the secret files that some of them come from."""
