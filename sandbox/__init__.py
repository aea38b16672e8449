"""The program without a cloud account.

`make up` deploys a stack, as its files are, with the real Pulumi engine into a real Kubernetes API server on this
machine. AWS, random and docker-build are answered by `sandbox.emulated`; nodes are simulated.

    python -m sandbox up | status | down
"""
