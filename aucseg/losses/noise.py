"""What the losses with noise on the logits share: where the draws come from, and what they are added to."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor, nn

from aucseg.functional.checks import check_count, check_option
from aucseg.functional.distributed import own_rank
from aucseg.functional.logits import adjusted_cross_entropy, strips
from aucseg.losses.base import PixelwiseLoss, StepCount

DRAWS = ("pixel_class", "pixel", "class")


class NoiseSource(nn.Module):
    """A stream of random numbers of its own; its seed is kept in the state of the loss.

    The numbers of a call follow from the seed, the number of the call and the image's place in the batch of
    all ranks, whatever the global generators do: a resumed training repeats them on every rank, though one
    rank alone writes the checkpoint, and so does a training of the same batch on another number of ranks.

    Args:
        seed: of the stream; None draws one from PyTorch's global generator.

    Raises:
        ValueError: for a seed that is none.
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__()
        if seed is None:
            seed = int(torch.randint(2**62, ()))
        self.seed = check_count("seed", seed, 0, most=2**63 - 1)

    def generator(self, call: int, image: int, device: torch.device) -> torch.Generator:
        """A generator at the beginning of the numbers of an image in a call.

        Args:
            call: number of the call.
            image: place of the image in the batch of all ranks.
            device: where the numbers are drawn.
        """
        mixed = hashlib.blake2b(f"{self.seed}-{call}-{image}".encode(), digest_size=8).digest()
        return torch.Generator(device).manual_seed(int.from_bytes(mixed) >> 1)

    def get_extra_state(self) -> Tensor:
        """The seed."""
        return torch.tensor(self.seed)

    def set_extra_state(self, state: Tensor) -> None:
        """What :meth:`get_extra_state` returned.

        Args:
            state: the seed.
        """
        self.seed = int(state)


class NoisyLoss(PixelwiseLoss):
    """Cross entropy of logits to which noise is added in training, scaled for each class.

    In evaluation mode it is plain cross entropy. The noise is a constant to the gradient. It is drawn on the
    device of the logits, in float32 whatever their dtype, strip by strip beside the softmax: nothing of the
    size of the logits is kept for it. A subclass defines :meth:`draw` and :meth:`coefficients`.

    Args:
        num_classes: number of classes K.
        draws: ``"pixel_class"``: one for each pixel and class; ``"pixel"``: one for each pixel, shared by
            its classes; ``"class"``: one for each class and call, shared by all pixels.
        seed: of the stream of noise; None draws one from PyTorch's global generator. It is kept in the
            state, with the number of calls.
        options: those of :class:`aucseg.losses.PixelwiseLoss`.

    Raises:
        ValueError: for an option that does not exist, and as ``PixelwiseLoss``.
    """

    count: StepCount
    scale: float = 1.0

    def __init__(
        self, num_classes: int, *, draws: str = "pixel_class", seed: int | None = None, **options: Any
    ) -> None:
        super().__init__(num_classes, **options)
        check_option("draws", draws, DRAWS)
        self.draws = draws
        self.count = StepCount()
        self.source = NoiseSource(seed)

    def draw(self, out: Tensor, generator: torch.Generator) -> Tensor:
        """Fill a tensor with noise, in place.

        Args:
            out: float32, overwritten.
            generator: on its device.

        Returns:
            ``out``.
        """
        raise NotImplementedError

    def coefficients(self) -> Tensor:
        """What the noise of each class is multiplied with, (K,)."""
        raise NotImplementedError

    def noise(self, logits: Tensor, rows: Tensor) -> Tensor:
        """What this call would add to the logits, all at once: to look at, and to test by.

        Args:
            logits: (B, K, P).
            rows: (B, P), labels.

        Returns:
            (B, K, P), coefficients included, at least float32.
        """
        out = logits.new_empty(logits.shape, dtype=torch.promote_types(logits.dtype, torch.float32))
        factor = self.coefficients().to(out)[:, None]
        drawn = self._drawn(logits)
        for image, part in strips(logits, rows):
            out[image, :, part] = drawn(part.stop - part.start) * factor
        return out

    def pixel_losses(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Cross entropy of the noisy logits; see :meth:`PixelwiseLoss.pixel_losses`."""
        wide = torch.promote_types(logits.dtype, torch.float32)
        factor = self.coefficients().to(logits.device, wide)[:, None]
        drawn = self._drawn(logits) if self.training else None
        if drawn is None and self.scale == 1:
            return adjusted_cross_entropy(logits, rows)

        def adjust(strip: Tensor, label: Tensor, out: Tensor | None) -> Tensor:
            noisy = strip.to(wide)
            if drawn is not None:
                noisy = torch.addcmul(noisy, drawn(strip.shape[1]).to(wide), factor, out=out)
            return noisy if self.scale == 1 else torch.mul(noisy, self.scale, out=out)

        return adjusted_cross_entropy(logits, rows, adjust, scale=None if self.scale == 1 else self.scale)

    def _drawn(self, logits: Tensor) -> _Draws:
        return _Draws(self, logits)


class _Draws:
    """The noise of one call, strip by strip."""

    def __init__(self, loss: NoisyLoss, logits: Tensor) -> None:
        self.loss, self.k, self.pixels, self.device = loss, *logits.shape[1:], logits.device
        self.image, self.left = own_rank() * len(logits), 0  # ranks have equally many images
        self.memory = logits.new_empty(0, dtype=torch.float32)
        if loss.draws == "class":  # one for all images, on all ranks
            one = logits.new_empty((self.k, 1), dtype=torch.float32)
            self.memory = loss.draw(one, loss.source.generator(loss.count.calls, 0, self.device))

    def __call__(self, pixels: int) -> Tensor:
        """(K, p), (1, p) or (K, 1) float32, for a strip of p pixels; overwritten by the next."""
        if self.loss.draws == "class":
            return self.memory
        if self.left == 0:
            self.generator = self.loss.source.generator(self.loss.count.calls, self.image, self.device)
            self.image, self.left = self.image + 1, self.pixels
        self.left -= pixels
        rows = self.k if self.loss.draws == "pixel_class" else 1
        if self.memory.numel() < rows * pixels:
            self.memory = self.memory.new_empty(rows * pixels)
        return self.loss.draw(self.memory[: rows * pixels].view(rows, pixels), self.generator)
