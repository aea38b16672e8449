"""Replays a load trace against a stack's autoscalers, pools and nodes, by Kubernetes' own algorithms."""
