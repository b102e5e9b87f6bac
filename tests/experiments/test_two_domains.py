"""Tables of training with few labels, and with labels of another domain: what their runs have and share."""

from __future__ import annotations

import pytest

from aucseg.data.parts import choose_labelled
from aucseg.experiments import EXPERIMENTS, get_experiment, make_config, published_datasets, published_effects
from aucseg.training import ConfigError

SEMI = [f"semi_supervised_{n}" for n in (16, 8, 4, 2)]
ADAPTED = [name for name, experiment in EXPERIMENTS.items() if experiment.domains]


def configs(name, dataset="streets", profile="laptop", **options):
    return {run.arm.name: run.config for run in get_experiment(name).runs(dataset, profile, [0], **options)}


@pytest.mark.parametrize("name", SEMI)
def test_arms_of_few_labels_have_the_same_images(name):
    found = configs(name)
    fraction = f"1/{name.rpartition('_')[2]}"
    assert {config.data.labelled for config in found.values()} == {fraction}
    assert found["labelled_only"].method.name == "supervised"
    teachers = [config for arm, config in found.items() if arm != "labelled_only"]
    assert {config.method.name for config in teachers} == {"mean_teacher"}
    assert {config.method.decay for config in teachers} == {0.99}
    assert {arm: c.method.counts for arm, c in found.items() if arm.startswith("blv")} == {
        "blv_estimated": "estimated",
        "blv_labelled": "labelled",
        "blv_true": "true",
    }


def test_the_published_protocol_of_few_labels():
    config = configs("semi_supervised_16", "cityscapes", "paper")["blv_estimated"]
    assert (config.model.name, config.model.encoder) == ("deeplabv3plus", "resnet101")
    assert config.data.crop_size == config.evaluation.window == (769, 769)
    optim = config.optim
    assert (optim.name, optim.lr, optim.momentum, optim.weight_decay) == ("sgd", 0.01, 0.9, 5e-4)
    assert optim.power == 0.9
    assert (config.method.decay, config.method.threshold) == (0.999, 0.968)
    assert config.data.tail_classes == "cityscapes_blv"
    # Section 4.2: batches of 16, which hold as many images of each kind; sliding windows; no warm-up is named
    assert (config.data.batch_size, config.method.batch_size) == (8, None)
    assert config.evaluation.stride == (513, 513)
    assert (optim.schedule, optim.warmup_steps, optim.steps) == ("poly", 0, 40_000)
    assert config.model.encoder_weights == "imagenet"
    # supplement, 2: colour jitter, blur and class mix; sigma 6
    assert (config.method.mix, config.method.mix_from) == ("class_mix", "labelled")
    assert min(config.method.jitter, config.method.blur) > 0
    assert config.loss.sigma == 6
    # Table 2: 186, 372, 744 and 1488 of the 2975 images
    names = [f"{i:04}" for i in range(2975)]
    for fraction, images in (("1/16", 186), ("1/8", 372), ("1/4", 744), ("1/2", 1488)):
        experiment = f"semi_supervised_{fraction[2:]}"
        assert configs(experiment, "cityscapes", "paper")["auc"].data.labelled == fraction
        assert abs(len(choose_labelled(names, fraction, 0)) - images) <= 1


def test_the_published_protocol_of_two_domains():
    config = configs("domain_adaptation", "cityscapes", "paper")["blv"]
    source = config.method.source
    assert (source.name, source.sampling, source.crop_size) == ("gta5", "rare_class", (512, 512))
    assert (source.resize, config.data.resize) == ((720, 1280), (512, 1024))
    assert config.method.margins == (15, 120, 0, 0)
    assert config.method.feature_distance == 0.005
    optim = config.optim
    assert (optim.name, optim.lr, optim.decoder_factor, optim.weight_decay) == ("adamw", 6e-5, 10.0, 0.01)
    assert (optim.steps, optim.warmup_steps, optim.power) == (40_000, 1_500, 1.0)
    assert (config.data.batch_size, source.batch_size, config.data.crop_size) == (2, 2, (512, 512))
    assert (config.method.decay, config.method.threshold) == (0.999, 0.968)
    assert (config.method.mix, config.method.share_of) == ("class_mix", "batch")
    assert (config.method.feature_share, config.loss.sigma) == (0.75, 6)
    # rare-class sampling: temperature .01, 3,000 pixels of the class, half as many in a crop
    assert (source.crop, source.rare_temperature) == ("class_share", 0.01)
    assert source.crop_min_share * 512**2 == 1_500
    assert round(source.rare_min_share * 1280 * 720) == 3_000
    thirteen = configs("domain_adaptation_16", "cityscapes", "paper")["blv"]
    assert thirteen.data.classes == thirteen.method.source.classes == "synthia16"
    assert thirteen.loss.sigma == 4


@pytest.mark.parametrize("name", ADAPTED)
def test_both_domains_of_an_arm_fit_each_other(name):
    for config in configs(name).values():
        source = config.method.source
        assert (source.name, source.look, config.data.look) == ("streets", "standard", "autumn")
        assert source.classes == config.data.classes
        assert (source.size, source.crop_size) == (config.data.size, config.data.crop_size)


def test_from_the_simulator_to_photographs():
    for start in ("random", "imagenet"):
        for arm, config in configs("domain_adaptation", "camvid", start=start).items():
            source = config.method.source
            assert (source.name, source.classes, config.data.classes) == ("carla", "camvid10", "camvid10")
            assert source.crop_size == config.data.crop_size == (64, 96)
            assert config.method.name == ("supervised" if arm == "source_only" else "mean_teacher")
    found = configs("domain_adaptation_streets", "camvid")["auc"]
    assert (found.method.source.name, found.data.classes) == ("streets", "camvid11")
    assert found.method.source.train_images == 600


def test_resampling_is_of_the_source():
    found = configs("domain_adaptation_rivals")
    assert found["rs"].method.source.sampling == "rarest_class"
    assert {found[arm].method.source.sampling for arm in found if arm != "rs"} == {"random"}


def test_runs_of_two_tables_are_one_run():
    rows = [
        configs(name)["self_training"].identity
        for name in ("semi_supervised_16", "semi_supervised_counts_16")
    ]
    assert rows[0] == rows[1]
    blv = {configs(name)["blv"].identity for name in ("domain_adaptation", "domain_adaptation_parts")}
    blv |= {configs("domain_adaptation_sigma")["sigma_6"].identity}
    blv |= {configs("domain_adaptation_variations")["gaussian"].identity}
    assert len(blv) == 1


def test_a_data_set_without_another_domain_is_refused():
    with pytest.raises(ConfigError, match=r"'domain_adaptation' has no labels for data set 'ccp'.*camvid"):
        get_experiment("domain_adaptation").config("blv", "ccp", "laptop")


def test_published_effects_are_those_of_the_tables():
    """Table 2 at 1/16: 68.21 and 69.26, tail 53.09 and 55.23; Table 3: 55.9 and 59.0, source only 38.6."""
    table = published_effects(get_experiment("semi_supervised_16"), "1/16")
    effects = table.set_index(["arm", "metric"])["effect"]
    assert effects["blv_estimated", "mIoU"] == pytest.approx(1.05)
    adapted = published_effects(get_experiment("domain_adaptation"), "GTA5->Cityscapes")
    values = adapted.set_index(["arm", "metric"])["value"]
    assert values["self_training", "mIoU"] == 55.9
    assert values["blv", "mIoU"] == 59.0
    assert values["source_only", "mIoU"] == 38.6
    sixteen = published_effects(get_experiment("domain_adaptation_16"), "SYNTHIA->Cityscapes")
    values = sixteen.set_index(["arm", "metric"])["value"]
    assert [values[arm, "mIoU"] for arm in ("source_only", "self_training", "blv")] == [33.5, 52.7, 56.8]
    assert "1/16" in published_datasets(get_experiment("semi_supervised_16"))


def test_nothing_of_this_changes_a_run_without():
    config = make_config("streets", "laptop")
    assert config.data.labelled is config.data.classes is config.method.source is None
