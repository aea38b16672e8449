"""What neither a plan nor a trace tells, and the replay takes for granted. The page repeats it."""

NODE_SECONDS = 60
"""From the call of EC2 until pods can be placed. AL2023 nodes of EKS take 45 to 90 s
(https://devfloor9.github.io/engineering-playbook/en/docs/infrastructure-optimization/karpenter-autoscaling)."""

SCAN_SECONDS = 10
"""The Cluster Autoscaler looks for pods without a node (``--scan-interval``), and so, after the same ten seconds at
most, does Karpenter (``BATCH_MAX_DURATION``)."""

UNNEEDED_SECONDS = 600
"""The Cluster Autoscaler takes a node that was unneeded for so long, and none for so long after it added one
(``--scale-down-unneeded-time``, ``--scale-down-delay-after-add``)."""

UNNEEDED_SHARE = 0.5
"""A node is unneeded whose pods request less of it (``--scale-down-utilization-threshold``) and fit elsewhere."""

CONSOLIDATE_SECONDS = 300
"""``consolidateAfter`` of the stack's NodePools; Karpenter takes any node whose pods fit elsewhere."""

IMAGE_SECONDS = 20
"""A node pulls the agent's image once."""

CONTAINER_SECONDS = 5
"""From the placement of a pod until its process starts: secrets are mounted, addresses given."""

PROCESS_SECONDS = 10
"""From there until the pod is ready: imports, connections, and the probes' own periods."""

METRICS_SECONDS = 15
"""metrics-server asks the kubelets (``--metric-resolution``, 15 s in EKS's add-on); a sample is of so many seconds."""

POD_MIB = 300
"""What a process of the service keeps after load, with the settings of its image for glibc."""

RUN_MIB = 4
"""What a run takes while it executes, unless the trace says: 2 MB of checkpoints that wait for PostgreSQL, and
STREAM_BUFFER_BYTES of events."""

SHAPE = 4
"""Runs are as long as the trace says on average; their lengths are of a gamma distribution of this shape: one in
twenty takes twice as long."""

SENTENCES = (
    f"A new node takes {NODE_SECONDS} s until pods can be placed on it, the image {IMAGE_SECONDS} s once on each node,"
    f" and a pod {CONTAINER_SECONDS + PROCESS_SECONDS} s from its placement until it is ready.",
    "Requests come at random around the trace's rate, and runs vary in length (a gamma distribution, shape"
    f" {SHAPE}: one in twenty takes twice the mean). The draws are the same each time.",
    "A run's CPU is spread evenly over it. Where a pod's runs ask for more than its limit, all of them become slower.",
    f"A pod uses {POD_MIB} MiB and {RUN_MIB} MiB a run, unless the trace says how many; nothing is killed for memory.",
    "Every run waits in the queue until a pod that is ready has a place for it. Time on the network, in PostgreSQL and"
    " at rate limits is not reckoned, nor what a pod that answers uses where workers execute.",
    f"metrics-server measures every {METRICS_SECONDS} s, and the autoscaler looks as often, right after it.",
)
