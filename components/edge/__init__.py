"""How callers come in: Ingress, Traefik or ALB, and certificates."""
