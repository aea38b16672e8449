"""What a shell needs to talk to a sandbox: `. .sandbox/dev/env`, and `kubectl` and `ask` are there."""

import shlex
from collections.abc import Sequence

from sandbox.binaries.build import Engine
from sandbox.cluster.agents import Agent, Reached
from sandbox.common.state import State, write_private


def write(state: State, engine: Engine, reached: Sequence[tuple[Agent, Reached]]) -> None:
    """Write the file, for any POSIX shell; it holds no secret."""
    cases = "\n".join(_case(agent, way) for agent, way in reached)
    names = ", ".join(agent.name for agent, _ in reached)
    write_private(
        state.env,
        f"""# . {state.env}
export KUBECONFIG={shlex.quote(str(state.kubeconfig))}
# curl last: the machine's own is preferred, where there is one.
PATH={shlex.quote(str(engine.kubernetes))}:$PATH:{shlex.quote(str(engine.debian.programs))}
export PATH
# ask AGENT PATH [options of curl]
ask() {{
  _agent=$1 _path=$2
  shift 2
  case $_agent in
{cases}
  *) echo "there is no agent $_agent, but {names or "none"}" >&2; return 2 ;;
  esac
}}
# _ask NAMESPACE AGENT URL [options of curl]
_ask() {{
  _key=$(kubectl -n "$1" get secret "$2" -o go-template='{{{{.data.API_KEYS | base64decode}}}}')
  _url=$3
  shift 3
  curl -sS --noproxy '*' -H "X-API-Key: ${{_key%%,*}}" -H 'Content-Type: application/json' "$_url" "$@"
}}
""",
    )


def _case(agent: Agent, way: Reached) -> str:
    url, options = way.url, []
    if way.host and way.authority:
        url = f"https://{way.host}"
        address = way.url.partition("://")[2]
        options = ["--resolve", f"{way.host}:443:{address}", "--cacert", str(way.authority)]
    arguments = shlex.join([agent.namespace, agent.name])
    return f'  {agent.name}) _ask {arguments} {shlex.quote(url)}"$_path" {shlex.join(options)} "$@" ;;'
