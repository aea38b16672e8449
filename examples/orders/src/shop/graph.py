"""Adds up an order, and gives it a number that fits into an address."""

import os
from typing import TypedDict

from langgraph.graph import END, START, StateGraph
from slugify import slugify

from shop.prices import PRICES


class Order(TypedDict, total=False):
    order: str
    total: str
    slug: str


def add_up(state: Order) -> Order:
    things = state["order"].split()
    total = sum(PRICES.get(thing, 0) for thing in things)
    return {"total": f"{total} {os.environ['CURRENCY']}", "slug": slugify(state["order"])}


graph = (
    StateGraph(Order)
    .add_node("add_up", add_up)
    .add_edge(START, "add_up")
    .add_edge("add_up", END)
    .compile(name="orders")
)
