"""The screens: stepping, choosing a scenario, enlarged arrays, help, and where to go."""
