"""Millions of images: a scan that loses nothing."""
