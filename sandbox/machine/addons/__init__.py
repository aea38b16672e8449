"""The cluster's add-ons that a stack asks for: each is a process beside the pods, as CoreDNS is, and needs no image."""
