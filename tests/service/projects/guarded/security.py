"""Bearer tokens; everybody sees what is theirs; a few actions are refused or limited by permission."""

from typing import Any

from langgraph_sdk import Auth

auth = Auth()
USERS: dict[str, dict[str, Any]] = {
    "token-of-ann": {"identity": "ann", "permissions": ["ask"], "team": {"name": "north"}},
    "token-of-bob": {"identity": "bob", "permissions": ["ask"]},
    "token-of-eve": {"identity": "eve", "permissions": []},
}


@auth.authenticate
async def authenticate(authorization: str | None) -> dict[str, Any]:
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or token not in USERS:
        raise Auth.exceptions.HTTPException(
            status_code=401, detail="unknown token", headers={"WWW-Authenticate": "Bearer"}
        )
    return USERS[token]


@auth.on
async def own_things(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> dict[str, str]:
    owner = {"owner": ctx.user.identity}
    value.setdefault("metadata", {}).update(owner)
    return owner


@auth.on.assistants
async def everybody_reads_assistants(ctx: Auth.types.AuthContext, value: Any) -> None:
    return None


@auth.on.threads.create_run
async def only_who_may_ask(ctx: Auth.types.AuthContext, value: Any) -> Any:
    if "ask" not in ctx.permissions:
        raise Auth.exceptions.HTTPException(status_code=403, detail="ask for the permission to ask")
    return await own_things(ctx, value)


@auth.on.store
async def own_namespaces(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> Any:
    """What everybody may read lies below `public`; all else below the user."""
    if value["namespace"] and value["namespace"][0] == "public":
        return {"published": True} if ctx.action == "search" else ctx.action == "get"
    value["namespace"] = (ctx.user.identity, *(value["namespace"] or ()))
    return None
