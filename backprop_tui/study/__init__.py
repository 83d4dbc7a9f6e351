"""What can be learnt from a recording beyond its steps: the chain rule along a way, claims, numerical checks."""
