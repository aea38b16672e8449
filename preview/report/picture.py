"""The architecture of a plan as a picture: where things stand, and who reaches whom. Geometry only; no markup."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from policies.pods import AUTOSCALERS, bounds_of
from preview.exposure import INTERNET, Exposure
from preview.recording.plan import AGENT_TYPE, Plan, PlannedResource
from preview.report.arrows import connect
from preview.report.shapes import WIDTH, Box, Picture

# More agents than this are a number: a picture of a thousand shows nothing.
_MOST_AGENTS = 12
_GAP = 16
_CARD_HEIGHT = 74
_AGENT_COLUMNS = 3


def draw(plan: Plan, exposure: Exposure) -> Picture:
    """Lay the plan out: the internet on the left, the network in the middle, AWS's other services on the right."""
    picture = Picture()
    vpc = next(iter(plan.of_type("aws:ec2/vpc:Vpc")), None)
    left, right = 250.0, 950.0
    y = 52.0
    zones = sorted({str(s.inputs["availabilityZone"]) for s in plan.of_type("aws:ec2/subnet:Subnet")})
    columns = list(_columns(left + 20, right - 20, max(1, len(zones))))
    y = _public(plan, exposure, picture, columns, zones, y)
    y = _cluster(plan, picture, left + 20, right - 20, y)
    y = _stores(plan, picture, columns, y)
    title = f"VPC {vpc.inputs.get('cidrBlock')}" if vpc else "Network"
    picture.areas.insert(
        0, Box(left, 16, right - left, y - 16, title, (plan.region,), "vpc", vpc.urn if vpc else "")
    )
    _services(plan, picture, right + 40, WIDTH - 20)
    _outside(plan, exposure, picture)
    connect(plan, exposure, picture)
    picture.height = max(y, *(card.bottom for card in picture.cards), 0) + 20
    return picture


def _columns(left: float, right: float, count: int) -> Iterator[tuple[float, float]]:
    width = (right - left - _GAP * (count - 1)) / count
    for number in range(count):
        yield left + number * (width + _GAP), width


def _public(
    plan: Plan,
    exposure: Exposure,
    picture: Picture,
    columns: Sequence[tuple[float, float]],
    zones: Sequence[str],
    y: float,
) -> float:
    """The zones' heads with the NAT gateways, and the load balancer below: nothing lies on its way to the pods."""
    left, right = columns[0][0], columns[-1][0] + columns[-1][1]
    height = 146.0
    picture.areas.append(Box(left, y, right - left, height, "Public subnets", (), "tier"))
    entrances = [e for e in exposure.edges if e.source == INTERNET and e.target in plan.resources]
    public = [plan.resources[e.target] for e in entrances]
    public = [r for r in public if r.type != "aws:eks/cluster:Cluster"]
    for resource in public[:1]:
        name = "Application Load Balancer" if resource.kind == "Ingress" else "Network Load Balancer"
        by = next(e.by for e in entrances if e.target == resource.urn)
        what = f"{resource.inputs.get('chart', '')} {by}".strip()
        picture.cards.append(
            Box(left + 12, y + 90, right - left - 24, 46, name, (what,), "entry", resource.urn)
        )
    gateways = plan.of_type("aws:ec2/natGateway:NatGateway")
    for zone, (x, width) in zip(zones, columns, strict=False):
        picture.areas.append(Box(x, y + 28, width, 54, zone, (), "zone"))
    for gateway, (x, width) in zip(gateways, columns, strict=False):
        picture.cards.append(Box(x + width - 100, y + 37, 92, 36, "NAT gateway", (), "small", gateway.urn))
    return y + height + _GAP


def _cluster(plan: Plan, picture: Picture, left: float, right: float, y: float) -> float:
    """The cluster and the agents in it."""
    cluster = next(iter(plan.of_type("aws:eks/cluster:Cluster")), None)
    version = cluster.inputs.get("version", "") if cluster else ""
    agents = plan.agents
    shown = plan.of_type(AGENT_TYPE)[:_MOST_AGENTS]
    rows = -(-len(shown) // _AGENT_COLUMNS) or 1
    extra = 22 if len(agents) > len(shown) else 0
    height = 40 + rows * (_CARD_HEIGHT + 10) + extra + 6
    picture.areas.append(
        Box(
            left,
            y,
            right - left,
            height,
            f"EKS {version}",
            (_nodes(plan),),
            "cluster",
            cluster.urn if cluster else "",
        )
    )
    columns = list(_columns(left + 12, right - 12, min(_AGENT_COLUMNS, len(shown)) or 1))
    for number, agent in enumerate(shown):
        x, width = columns[number % _AGENT_COLUMNS]
        top = y + 36 + (number // _AGENT_COLUMNS) * (_CARD_HEIGHT + 10)
        picture.cards.append(_agent(plan, agent, Box(x, top, width, _CARD_HEIGHT, agent.name)))
    if extra:
        more = f"and {len(agents) - len(shown)} more agents"
        picture.areas.append(Box(left + 12, y + height - 26, right - left - 24, 20, more, (), "note"))
    return y + height + _GAP


def _agent(plan: Plan, agent: PlannedResource, place: Box) -> Box:
    own = [r for r in plan.descendants(agent.urn) if r.custom]
    deployment = next((r for r in own if r.kind == "Deployment"), None)
    bounds = [bounds_of(scaler) for scaler in own if scaler.type in AUTOSCALERS]
    ingress = next((r for r in own if r.kind == "Ingress"), None)
    lines = []
    if ingress:
        lines += [str(rule.get("host")) for rule in ingress.inputs["spec"].get("rules") or ()][:1]
    if bounds:
        pods = " and ".join(f"{fewest} to {most}" for fewest, most in bounds)
        lines.append(f"{pods} pods, {len(own)} resources")
    urn = deployment.urn if deployment else ""
    return replace(place, lines=tuple(lines), style="agent", urn=urn)


def _nodes(plan: Plan) -> str:
    groups = plan.of_type("aws:eks/nodeGroup:NodeGroup")
    if not groups:
        return "Auto Mode"
    described = []
    for group in groups:
        scaling = group.inputs["scalingConfig"]
        types = " or ".join(group.inputs.get("instanceTypes") or ())
        described.append(f"{scaling['minSize']} to {scaling['maxSize']} nodes, {types}")
    return "; ".join(described)


def _stores(plan: Plan, picture: Picture, columns: Sequence[tuple[float, float]], y: float) -> float:
    """Databases, what stands before them, and caches, and their copies in the other zones."""
    left, right = columns[0][0], columns[-1][0] + columns[-1][1]
    rows: list[tuple[PlannedResource, str, str, int]] = [
        (proxy, "RDS Proxy", _share(plan, proxy), 1) for proxy in plan.of_type("aws:rds/proxy:Proxy")
    ]
    for database in plan.of_type("aws:rds/instance:Instance"):
        i = database.inputs
        detail = f"{i.get('instanceClass')}, {i.get('allocatedStorage')} GiB"
        copies = 2 if i.get("multiAz") else 1
        rows.append((database, f"PostgreSQL {i.get('engineVersion')}", detail, copies))
    for cache in plan.of_type("aws:elasticache/replicationGroup:ReplicationGroup"):
        i = cache.inputs
        title = f"{str(i.get('engine')).capitalize()} {i.get('engineVersion')}"
        rows.append((cache, title, str(i.get("nodeType")), int(i.get("numCacheClusters") or 1)))
    height = 30 + len(rows) * 64 + 2
    picture.areas.append(Box(left, y, right - left, height, "Database subnets, no route out", (), "stores"))
    for row, (resource, title, detail, copies) in enumerate(rows):
        top = y + 28 + row * 64
        for copy, (x, width) in enumerate(columns[:copies]):
            style, name = ("store", title) if copy == 0 else ("copy", "standby" if copies == 2 else "replica")
            urn = resource.urn if copy == 0 else ""
            picture.cards.append(Box(x + 10, top, width - 20, 54, name, (detail,), style, urn))
    return y + height + _GAP


def _share(plan: Plan, proxy: PlannedResource) -> str:
    """For whom a proxy opens how many connections at most."""
    logins = len(proxy.inputs.get("auths") or ())
    percents = [
        (group.inputs.get("connectionPoolConfig") or {}).get("maxConnectionsPercent")
        for group in plan.of_type("aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup")
        if group.inputs.get("dbProxyName") == proxy.inputs.get("name")
    ]
    most = f", {percents[0]} % of the connections" if percents else ""
    return f"{logins} login{'' if logins == 1 else 's'}{most}"


def _services(plan: Plan, picture: Picture, left: float, right: float) -> None:
    """What AWS runs outside of the network."""
    kinds = (
        ("Secrets Manager", "aws:secretsmanager/secret:Secret", "entry", "entries"),
        ("KMS", "aws:kms/key:Key", "key", "keys"),
        ("ECR", "aws:ecr/repository:Repository", "repository", "repositories"),
        ("CloudWatch Logs", "aws:cloudwatch/logGroup:LogGroup", "log group", "log groups"),
        ("IAM", "aws:iam/role:Role", "role", "roles"),
    )
    y = 52.0
    for title, type_, one, many in kinds:
        found = plan.of_type(type_)
        if found:
            line = f"{len(found)} {one if len(found) == 1 else many}"
            picture.cards.append(Box(left, y, right - left, 56, title, (line,), "service", f"all:{type_}"))
            y += 56 + _GAP


def _outside(plan: Plan, exposure: Exposure, picture: Picture) -> None:
    """Who comes from outside."""
    hosts = [e.by for e in exposure.edges if e.by.startswith("https://")]
    lines = tuple(host.removeprefix("https://") for host in hosts[:4])
    if len(hosts) > len(lines):
        lines = (*lines[:3], f"and {len(hosts) - 3} more")
    picture.cards.append(Box(20, 82, 190, 44 + 18 * len(lines), "Internet", lines, "outside", INTERNET))
    below = 82 + 44 + 18 * len(lines) + 40
    for edge in exposure.into(next((c.urn for c in plan.of_type("aws:eks/cluster:Cluster")), "")):
        if edge.source == INTERNET:
            origins = edge.origins or ("the whole internet",)
            box = Box(
                20, below, 190, 44 + 18 * len(origins[:3]), "Operators", origins[:3], "outside", "operators"
            )
            picture.cards.append(box)
            break
