"""What every add-on has in common."""

from typing import Protocol

from sandbox.binaries.build import Module
from sandbox.cluster.api import Api
from sandbox.machine.account import ADDON, Account


class Addon(Protocol):
    """One add-on of a sandbox."""

    role: str
    """The name of its process and of its binary."""
    module: Module
    """What it is built from."""

    def wanted(self, account: Account) -> bool:
        """Whether the stack asks for it."""

    def prepare(self, api: Api, account: Account) -> list[str]:
        """Give the cluster the objects that its chart would bring, and return its arguments."""

    def obstacle(self, api: Api) -> str:
        """Why it does not serve yet; empty when it does."""


def is_addon(account: Account, name: str) -> bool:
    """Whether the stack has the EKS add-on of this name."""
    return any(each["addonName"] == name for each in account.all(ADDON))
