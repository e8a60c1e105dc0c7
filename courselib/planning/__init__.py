"""How many servers a demand needs, and what they cost: numbers in, numbers out.

    from courselib import planning

    demand = planning.Demand(users=200, per_hour=9, prompt=800, answer=340)
    speeds = planning.Speeds(prefill=4000, decode=200, at_once=8)
    found = planning.plan(demand, speeds, planning.Promise(first_token_s=5, each_token_s=0.05))

``capacity`` has the plan, ``queueing`` the waits that it rests on, ``cost`` memory, machines and money. Speeds
come from a load test (``courselib.observe.loadtest``), prices from the reader. No speed and no price is kept here.
"""

from courselib.planning.capacity import Demand, Plan, Promise, Speeds, plan
from courselib.planning.cost import Bill, BreakEven, Machine, Need, Rented, bill, break_even, memory_need

__all__ = [
    "Bill",
    "BreakEven",
    "Demand",
    "Machine",
    "Need",
    "Plan",
    "Promise",
    "Rented",
    "Speeds",
    "bill",
    "break_even",
    "memory_need",
    "plan",
]
