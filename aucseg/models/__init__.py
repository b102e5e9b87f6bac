"""Networks by name: those of segmentation-models-pytorch, and those of AUCSeg's Table 1 that it lacks.

And how they look at images: whole, window by window, at several scales and mirrored.

- `registry`: networks by name, and from folders; what each is made of by default
- `networks`, `encoders`: those of this package
- `heads`: the classifier at a network's end, and the features that it reads
- `weights`: of files and packages, loaded whole or not at all
- `normalization`: what an encoder wants its images normalised by
- `inference`: logits and classes of images of any size
- `decision`: other rules than the highest score
"""

from aucseg.errors import extra

with extra("train"):
    import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
