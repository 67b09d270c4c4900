"""From what a model answers to what a user can act on; numpy alone is needed to apply it.

A model's own probabilities are rarely shares, its likeliest class is rarely the one to act on,
and a number without a reach is half an answer. What is learnt about that on rows that the
model has not seen travels with the package as plain values and is applied wherever it answers.
"""

from components.output.values import UNCHANGED, Output

__all__ = ["UNCHANGED", "Output"]
