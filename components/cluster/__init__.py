"""EKS: control plane, nodes, add-ons, and the identities of what runs there."""
