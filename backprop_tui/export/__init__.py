"""The trace of a recording: as text for people, as JSON lines for programs."""
