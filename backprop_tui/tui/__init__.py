"""The screen. Thin: each panel draws one frozen model; nothing outside this package knows Textual."""
