"""Boxes and arrows of :func:`aucseg.plots.network_diagram`: where they stand, and what is in them."""
