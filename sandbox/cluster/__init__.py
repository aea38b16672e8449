"""The Kubernetes control plane of a sandbox, what speaks to it, and its simulated nodes."""
