"""The HTTP service: images in, records out, over a network."""
