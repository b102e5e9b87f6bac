"""What a network is made of, read off what it does to an image: see :func:`aucseg.models.network_structure`."""
