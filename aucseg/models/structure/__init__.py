"""What a network is made of, read off its calls: see :func:`aucseg.models.network_structure`."""
