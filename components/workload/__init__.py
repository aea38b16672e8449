"""An agent in the cluster: image, pods, scaling, maintenance and network policies."""
