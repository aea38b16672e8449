"""A real Kubernetes node on this machine, in namespaces of its own, and what its pods run against.

`addresses` and `namespaces` make the place, `containers`, `dns` and `kubelet` fill it, `admission` points pods at what
stands in for AWS, `stores` runs the databases. `node` puts them together; `choice` decides whether it can work here.
"""
