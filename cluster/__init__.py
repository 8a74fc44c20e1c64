"""Composition root: starts, scales, drains and ends the parts of a cluster. Nobody imports it."""
