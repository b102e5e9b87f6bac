"""What every loss of aucseg must do: inherit from ``LossTester`` and say how to build the loss."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from aucseg.errors import UserError
from aucseg.functional import checks
from aucseg.losses import class_counts
from tests.functional.oracle import streets


class LossTester:
    """Tests of the contract ``loss(logits, target)`` that all losses share.

    A subclass sets ``factory``; the flags turn off what does not hold for a loss by its definition.
    """

    #: ``factory(num_classes, ignore_index=255)`` builds the loss
    factory: Callable[..., nn.Module]
    #: renaming the classes does not change the loss (false where classes have weights or priors)
    permutes = True
    #: the loss remembers something from one call to the next
    stateful = False
    #: compile it (a second's work: a variant that differs in an option alone need not)
    compiles = True
    #: its gradient can be differentiated by finite differences of itself (false where it has constants in it)
    twice = True
    num_classes = 4

    def build(self, num_classes: int | None = None, **options) -> nn.Module:
        return type(self).factory(num_classes or self.num_classes, **options)

    def batch(
        self, *, seed: int = 0, void: float = 0.1, size: tuple[int, int] = (6, 7), k: int | None = None
    ):
        return streets(2, k or self.num_classes, *size, seed=seed, void=void)

    def value_and_grad(self, loss, logits, target):
        logits = logits.detach().clone(memory_format=torch.preserve_format).requires_grad_()
        value = loss(logits, target)
        (grad,) = torch.autograd.grad(value, logits)
        return value.detach(), grad

    def test_smoke(self):
        logits, target = self.batch()
        value, grad = self.value_and_grad(self.build(), logits.float(), target)
        assert value.shape == ()
        assert value.isfinite()
        assert grad.isfinite().all()
        assert grad.abs().sum() > 0
        assert not list(self.build().parameters())

    @pytest.mark.parametrize("void", [0.0, 0.4])
    def test_gradcheck(self, void):
        logits, target = self.batch(void=void, size=(3, 4))
        loss = self.build()
        assert torch.autograd.gradcheck(lambda x: loss(x, target), logits.requires_grad_())

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_dtypes(self, dtype):
        """Half precision is computed in float32: equal to the float64 loss of the rounded logits."""
        logits, target = self.batch()
        logits = logits.to(dtype)
        value, grad = self.value_and_grad(self.build(), logits, target)
        exact, exact_grad = self.value_and_grad(self.build(), logits.double(), target)
        assert grad.dtype == dtype
        assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        torch.testing.assert_close(value.double(), exact, rtol=1e-5, atol=1e-7)
        ulp = max(torch.finfo(dtype).eps, 1e-5)
        torch.testing.assert_close(grad.double(), exact_grad, rtol=2 * ulp, atol=1e-7)

    def test_autocast(self):
        logits, target = self.batch()
        expected, _ = self.value_and_grad(self.build(), logits.float(), target)
        with torch.autocast("cpu", torch.bfloat16):
            value, grad = self.value_and_grad(self.build(), logits.float(), target)
        torch.testing.assert_close(value, expected, rtol=0, atol=0)
        assert grad.dtype == torch.float32

    def test_void_pixels_do_not_matter(self):
        logits, target = self.batch(void=0.3)
        void = (target == 255)[:, None].expand_as(logits)
        value, grad = self.value_and_grad(self.build(), logits, target)
        other, _ = self.value_and_grad(self.build(), torch.where(void, logits * -7 + 3, logits), target)
        torch.testing.assert_close(value, other, rtol=1e-12, atol=1e-14)
        assert (grad[void] == 0).all()

    def test_another_void_label(self):
        logits, target = self.batch(void=0.3)
        value, _ = self.value_and_grad(self.build(), logits, target)
        other = torch.where(target == 255, -1, target)
        same, _ = self.value_and_grad(self.build(ignore_index=-1), logits, other)
        assert torch.equal(value, same)

    def test_all_void(self):
        logits, target = self.batch(void=1.0)
        value, grad = self.value_and_grad(self.build(), logits, target)
        assert value.item() == 0
        assert (grad == 0).all()

    @pytest.mark.parametrize("label", [0, 3])
    def test_single_class(self, label):
        logits, target = self.batch()
        value, grad = self.value_and_grad(self.build(), logits, torch.full_like(target, label))
        assert value.isfinite()
        assert grad.isfinite().all()

    def test_missing_class(self):
        logits, target = self.batch()
        value, grad = self.value_and_grad(self.build(), logits, torch.where(target == 1, 0, target))
        assert value.isfinite()
        assert value > 0
        assert grad.isfinite().all()

    def test_two_classes(self):
        logits, target = self.batch(k=2)
        value, grad = self.value_and_grad(self.build(2), logits, target)
        assert value > 0
        assert grad.isfinite().all()

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_saturated(self, dtype):
        logits, target = self.batch()
        value, grad = self.value_and_grad(self.build(), logits.sign().to(dtype) * 1e4, target)
        assert value.isfinite()
        assert grad.isfinite().all()

    def test_permutation_of_labels(self):
        if not self.permutes:
            pytest.skip("classes are not interchangeable for this loss")
        logits, target = self.batch()
        order = torch.tensor([2, 0, 3, 1])
        new = torch.arange(256)
        new[order] = torch.arange(4)  # class order[i] is called i now
        value, grad = self.value_and_grad(self.build(), logits, target)
        other, other_grad = self.value_and_grad(self.build(), logits[:, order], new[target])
        torch.testing.assert_close(value, other, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(grad[:, order], other_grad, rtol=1e-10, atol=1e-14)

    def test_order_of_images_and_pixels(self):
        logits, target = self.batch()
        value, grad = self.value_and_grad(self.build(), logits, target)
        other, other_grad = self.value_and_grad(self.build(), logits.flip(0, 2, 3), target.flip(0, 1, 2))
        torch.testing.assert_close(value, other, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(grad, other_grad.flip(0, 2, 3), rtol=1e-10, atol=1e-14)

    def test_memory_layout(self):
        logits, target = self.batch()
        value, grad = self.value_and_grad(self.build(), logits, target)
        for other in (
            logits.contiguous(memory_format=torch.channels_last),
            logits.transpose(2, 3).contiguous().transpose(2, 3),
        ):
            same, same_grad = self.value_and_grad(self.build(), other, target)
            torch.testing.assert_close(value, same, rtol=1e-12, atol=1e-14)
            torch.testing.assert_close(grad, same_grad, rtol=1e-10, atol=1e-14)

    def test_inputs_are_untouched(self):
        logits, target = self.batch()
        before = logits.clone(), target.clone()
        self.value_and_grad(self.build(), logits, target)
        assert torch.equal(logits, before[0])
        assert torch.equal(target, before[1])

    def test_bad_shapes(self):
        loss = self.build()
        logits, target = torch.zeros(2, 4, 6, 7), torch.zeros(2, 6, 7, dtype=torch.long)
        cases = (
            (logits[:, :3], target, "3 channels, expected num_classes=4"),
            (logits[0], target[0], "hold 4 images|have 6 channels"),
            (logits, target[:, :3], r"interpolate\(logits, size=\(3, 7\)"),
            (logits, target[:1], "2 images, target 1"),
            (logits, target[:, None, None], r"target must have shape \(B, H, W\), .* got \(2, 1, 1, 6, 7\)"),
            (logits, torch.zeros(2, 4, 6, 7), r"\(2, 4, 6, 7\) holds a number for each class.*argmax\(1\)"),
            (logits, torch.zeros(2, 6, 7, 4).bool(), r"a number for each class.*argmax\(-1\)"),
            (logits[:, :1], target, r"1 channel, expected num_classes=4.*one channel is for two classes"),
            (logits[0, 0], target[0, 0], r"must have shape \(B, K, H, W\)"),
        )
        for bad_logits, bad_target, message in cases:
            with pytest.raises(ValueError, match=message):
                loss(bad_logits, bad_target)

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.uint16, torch.int32, torch.int64])
    def test_every_integer_holds_labels(self, dtype):
        """Void is 255 in the masks of most data sets, which uint8 holds too."""
        logits, target = self.batch(void=0.3)
        value, grad = self.value_and_grad(self.build(), logits, target)
        for shape in (target, target[:, None], target[..., None]):
            same, same_grad = self.value_and_grad(self.build(), logits, shape.to(dtype))
            assert torch.equal(value, same)
            assert torch.equal(grad, same_grad)

    def test_negative_void_beside_labels_without_a_sign(self):
        """In uint8 the label 255 is -1; it must stay a label that is none."""
        logits, target = self.batch(void=0.3)
        with pytest.raises(ValueError, match="label 255"):
            self.build(ignore_index=-1)(logits, target.to(torch.uint8))

    def test_numpy_integers(self):
        logits, target = self.batch(void=0.3)
        value, _ = self.value_and_grad(self.build(), logits, target)
        loss = self.build(np.int64(4), ignore_index=np.uint8(255))
        assert torch.equal(self.value_and_grad(loss, logits, target)[0], value)

    def binary_reference(self, two, target):
        """What one channel z must come to, from the logits (0, z)."""
        return self.build(2)(two, target)

    def test_one_channel_for_two_classes(self):
        logits, target = self.batch(k=2, void=0.2)
        one = logits[:, 1:]
        value, grad = self.value_and_grad(self.build(2), one, target)
        wanted, two_grad = self.value_and_grad(
            self.binary_reference, torch.cat((torch.zeros_like(one), one), 1), target
        )
        torch.testing.assert_close(value, wanted, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(grad, two_grad[:, 1:], rtol=1e-12, atol=1e-14)
        labels = target.masked_fill(target == 255, 0)
        value, _ = self.value_and_grad(self.build(2), one, labels)
        same, _ = self.value_and_grad(self.build(2), one, labels.bool()[:, None])
        assert torch.equal(value, same)

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
    def test_size_of_the_target(self, dtype):
        """Logits at a quarter of the size, as the networks of transformers give them."""
        logits, _ = self.batch(size=(3, 4))
        logits = logits.to(dtype)
        _, target = self.batch(size=(12, 16))
        value, grad = self.value_and_grad(self.build(size="target"), logits, target)
        wide = logits.to(torch.promote_types(dtype, torch.float32)).requires_grad_()
        large = torch.nn.functional.interpolate(wide, size=(12, 16), mode="bilinear", align_corners=False)
        expected = self.build()(large, target)
        (expected_grad,) = torch.autograd.grad(expected, wide)
        torch.testing.assert_close(value, expected.detach(), rtol=1e-6, atol=0)
        torch.testing.assert_close(
            grad, expected_grad.to(dtype), rtol=1e-2 if dtype != torch.float64 else 1e-9, atol=1e-9
        )
        with pytest.raises(ValueError, match=r"spatial size \(3, 4\), target \(12, 16\).*size='target'"):
            self.build()(logits, target)
        with pytest.raises(ValueError, match="unknown size 'input'; use one of 'target', None"):
            self.build(size="input")

    def test_bad_types(self):
        loss = self.build()
        logits, target = torch.zeros(2, 4, 6, 7), torch.zeros(2, 6, 7, dtype=torch.long)
        with pytest.raises(TypeError, match=r"integer class labels, got dtype torch.float32.*\.long\(\)"):
            loss(logits, target.float())
        with pytest.raises(TypeError, match=r"got dtype torch\.bool, which tells two classes apart"):
            loss(logits, target.bool())
        with pytest.raises(TypeError, match=r"floating point, got dtype torch\.int64"):
            loss(logits.long(), target)
        with pytest.raises(TypeError, match=r"must be a torch\.Tensor, got list"):
            loss(logits, target.tolist())

    @pytest.mark.parametrize("label", [4, 254, -1])
    def test_label_outside_the_classes(self, label):
        logits, target = self.batch()
        target[0, 1, 2] = label
        with pytest.raises(
            ValueError, match=rf"label {label}, .* 0 to 3; .*ignore_index={label}.*num_classes"
        ):
            self.build()(logits, target)

    @pytest.mark.parametrize("num_classes", [1, 0, -3, 2.5])
    def test_too_few_classes(self, num_classes):
        with pytest.raises(ValueError, match=f"num_classes must be an int of at least 2, got {num_classes}"):
            type(self).factory(num_classes)

    def test_state(self):
        """Nothing but what it remembers; with that another one goes on as this one would have."""
        logits, target = self.batch()
        loss = self.build()
        assert bool(loss.state_dict()) == self.stateful
        loss(logits.requires_grad_(), target)
        other = self.build()
        other.load_state_dict(loss.state_dict())
        assert torch.equal(other(logits, target), loss(logits, target))

    def test_a_copy_on_another_device_is_the_loss(self):
        """What is computed once moves with the loss: nothing is left behind on the device it was made on."""
        loss = self.build().to("meta")
        assert all(buffer.device.type == "meta" for buffer in loss.buffers())

    @pytest.mark.filterwarnings("ignore:The .grad attribute")  # dynamo looks at it where the graph breaks
    def test_inside_torch_compile(self):
        if not self.compiles:
            pytest.skip("another variant of the loss is compiled")
        torch.compiler.reset()
        logits, target = self.batch()
        grads, traced = [], []

        def backend(graph, inputs):
            traced.extend(node.op for node in graph.graph.nodes if node.op.startswith("call"))
            return graph.forward

        loss, other = self.build(), self.build()
        for function in (loss, torch.compile(lambda x, y: other(x * 1, y) * 2 / 2, backend=backend)):
            x = logits.clone().requires_grad_()
            function(x, target).backward()
            grads.append(x.grad)
        torch.testing.assert_close(*grads, rtol=1e-12, atol=1e-15)
        assert traced  # what is outside of the loss

    def test_second_derivatives(self):
        if not self.twice:
            pytest.skip("tested otherwise")
        logits, target = self.batch(void=0.3, size=(2, 2))
        loss = self.build()
        assert torch.autograd.gradgradcheck(lambda x: loss(x, target).square(), logits.requires_grad_())

    def test_a_gradient_that_will_be_differentiated_is_the_gradient(self):
        logits, target = self.batch(void=0.3)
        _, expected = self.value_and_grad(self.build(), logits, target)
        logits.requires_grad_()
        (grad,) = torch.autograd.grad(self.build()(logits, target), logits, create_graph=True)
        torch.testing.assert_close(grad.detach(), expected, rtol=1e-9, atol=1e-13)

    @pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:FutureWarning")  # inside torch.func
    def test_gradient_by_torch_func(self):
        logits, target = self.batch(void=0.3)
        _, expected = self.value_and_grad(self.build(), logits, target)
        found = torch.func.grad(self.build())(logits, target)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-13)

    def test_buffers_can_follow_to_a_device_without_float64(self):
        for module in self.build().modules():
            wide = [name for name, part in module.named_buffers(recurse=False) if part.dtype == torch.float64]
            assert not wide or isinstance(module, checks.WideBuffers), f"{type(module).__name__}: {wide}"

    def test_repr_names_the_options(self):
        assert "num_classes=4" in repr(self.build())
        assert "ignore_index=255" in repr(self.build())


class CountedLossTester(LossTester):
    """Of losses that are built of how often each class occurs: ``factory(counts, **options)``."""

    counts = (900.0, 40.0, 7.0, 3.0)

    def build(self, num_classes: int | None = None, counts=None, **options) -> nn.Module:
        counts = self.counts[: num_classes or self.num_classes] if counts is None else counts
        return type(self).factory(counts, **options)

    def test_permutation_of_labels(self):
        logits, target = self.batch()
        order = torch.tensor([2, 0, 3, 1])
        new = torch.arange(256)
        new[order] = torch.arange(4)
        counts = torch.tensor(self.counts)
        value, grad = self.value_and_grad(self.build(counts=counts), logits, target)
        other, other_grad = self.value_and_grad(
            self.build(counts=counts[order]), logits[:, order], new[target]
        )
        torch.testing.assert_close(value, other, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(grad[:, order], other_grad, rtol=1e-10, atol=1e-14)

    def test_too_few_classes(self):
        with pytest.raises(ValueError, match="num_classes must be an int of at least 2, got 1"):
            self.build(counts=[3.0])

    @pytest.mark.parametrize(
        ("counts", "message"),
        [
            ([1.0, -2.0, 3.0], r"counts must be finite and not negative, .* got \[1.0, -2.0, 3.0\]"),
            ([0.0, 0.0], "one at least positive"),
            ([1.0, float("nan")], "must be finite"),
            ([1.0, float("inf")], "must be finite"),
            ([[1.0, 2.0]], r"counts must have shape \(K,\), got \(1, 2\)"),
            ("abc", "counts must be numbers, one for each class"),
        ],
    )
    def test_counts_that_are_none(self, counts, message):
        with pytest.raises(ValueError, match=message) as caught:
            self.build(counts=counts)
        assert isinstance(caught.value, UserError)

    def test_counts_of_another_number_of_classes(self):
        logits, target = self.batch()
        with pytest.raises(ValueError, match="4 channels, expected num_classes=3"):
            self.build(3)(logits, target)

    def test_a_class_never_seen_counts_as_the_rarest_that_was(self):
        logits, target = self.batch()
        value, grad = self.value_and_grad(self.build(counts=[90, 0, 5, 0]), logits, target)
        other, _ = self.value_and_grad(self.build(counts=[90, 5, 5, 5]), logits, target)
        assert value.isfinite()
        assert grad.isfinite().all()
        assert value.item() == pytest.approx(other.item(), rel=self.never_seen)

    #: how far the loss may see that the counts of classes never seen are in no sum
    never_seen = 1e-12

    def test_whatever_holds_the_counts(self):
        logits, target = self.batch()
        counts = np.array([900, 40, 7, 3])
        counts.flags.writeable = False
        statistics = SimpleNamespace(pixels=counts, images=counts[::-1], names=tuple("abcd"))
        for other in (counts, torch.tensor([900, 40, 7, 3]), statistics):
            assert torch.equal(self.build(counts=other)(logits, target), self.build()(logits, target))
        images = class_counts(statistics, unit="images", names=tuple("abcd"))
        assert torch.equal(images, torch.tensor([3.0, 7, 40, 900], dtype=torch.float64))
