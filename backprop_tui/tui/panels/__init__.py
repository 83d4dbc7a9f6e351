"""The panels: each module draws one frozen model as lines of a width and a height. Only `base` knows Textual."""
