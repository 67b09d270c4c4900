"""The whole loop on shipped real data, in simulated time."""

from driftwheel.demo.running import run_demo

__all__ = ["run_demo"]
