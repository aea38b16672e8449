"""The program's Kubernetes objects for who applies them by other means than Pulumi."""
