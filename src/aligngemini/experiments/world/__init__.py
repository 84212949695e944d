"""A drawn world with two axes: what is possible, and what a decoder made."""
