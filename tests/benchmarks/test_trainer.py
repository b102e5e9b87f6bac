from __future__ import annotations

from importlib import import_module


def test_loop_and_trainer_take_the_same_steps():
    benchmark = import_module("trainer")
    (row,) = benchmark.quick("cpu", 2)
    assert row["steps"] == 6
    assert row["plain_ms"] > 0
    assert row["overhead_low"] <= row["overhead"] <= row["overhead_high"]
    assert not list(benchmark.measure("cuda", 2))


def test_the_plain_loop_trains_as_the_trainer_does(monkeypatch):
    """The same losses step by step, or the two could not be compared."""
    benchmark = import_module("trainer")
    config = benchmark.make_config("streets", "smoke").with_(
        data__size=(32, 64), data__train_images=8, data__eval_images=1, optim__steps=4, device="cpu"
    )
    seen: list[float] = []
    losses = benchmark.SegmentationModule.losses

    def noted(module, *arguments, **options):
        found = losses(module, *arguments, **options)
        seen.append(float(found["loss"].detach()))
        return found

    monkeypatch.setattr(benchmark.SegmentationModule, "losses", noted)
    benchmark.plain_loop(config)
    benchmark.trained(config)
    assert len(seen) == 8
    assert seen[:4] == seen[4:]
