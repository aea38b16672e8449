"""Threads go with all that was kept of them."""

from langgraph_agents_service.persistence.registry.base import Owner, ThreadBusyError, ThreadStatus
from langgraph_agents_service.service import Service


async def remove(service: Service, thread_id: str, owner: Owner) -> None:
    """Raises NotFoundError, and ThreadBusyError while a run is active."""
    thread = await service.registry.get_thread(thread_id, owner)
    if thread.status is ThreadStatus.BUSY:
        raise ThreadBusyError
    # The checkpoints first: should the process die here, nobody who takes the id later finds them.
    if service.saver is not None:
        await service.saver.adelete_thread(thread_id)
    await service.registry.delete_thread(thread_id, owner)
