# What the counterparts of raxx-notify's tests have in common: faults that a test has ordered, and a place to ask what came.
#
# A fault is {"at": WHERE, "fault": NAME, "times": 1, ...}. Those of a place are used up in the order in which they were given. There
# may also be random ones: {"rate": 0.2, "seed": 1, "faults": [...]}, which are used where none is ordered.
import json
import random
import threading


class Faults:
    def __init__(self):
        self.lock = threading.Lock()
        self.clear()

    def clear(self):
        self.ordered = []
        self.random = None
        self.generator = random.Random(0)
        self.used = []

    def order(self, faults):
        with self.lock:
            for fault in faults if isinstance(faults, list) else [faults]:
                if "at" not in fault or "fault" not in fault:
                    raise ValueError("a fault needs at and fault")
                self.ordered.append(dict(fault, times=fault.get("times", 1)))

    def order_random(self, plan):
        with self.lock:
            self.random = plan if plan and plan.get("rate") else None
            self.generator = random.Random((plan or {}).get("seed", 0))

    # The fault for this place now, or None.
    def take(self, at):
        with self.lock:
            fault = self._next(at)
            if fault is not None:
                self.used.append({"at": at, "fault": fault["fault"]})
            return fault

    def _next(self, at):
        for fault in self.ordered:
            if fault["at"] == at:
                fault["times"] -= 1
                if fault["times"] <= 0:
                    self.ordered.remove(fault)
                return fault
        if self.random and self.generator.random() < self.random["rate"]:
            fitting = [f for f in self.random["faults"] if f["at"] == at]
            if fitting:
                return self.generator.choice(fitting)
        return None


def write_port(path, ports):
    # Whoever waits for the file finds it whole.
    import os

    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(" ".join(str(port) for port in ports) + "\n")
    os.rename(path + ".new", path)


def as_json(value):
    return json.dumps(value).encode()
