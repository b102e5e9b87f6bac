from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.errors import DataError, OptionError
from aucseg.experiments import base_config, make_config
from aucseg.experiments.profiles import BASE
from aucseg.models.normalization import IMAGENET, LITE
from aucseg.training import ConfigError, DataConfig, RunConfig


@pytest.fixture
def config() -> RunConfig:
    return RunConfig(data=DataConfig(train_images=8, eval_images=4))


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**31),
    lr=st.floats(1e-8, 10),
    size=st.tuples(st.integers(1, 4096), st.integers(1, 4096)),
    ratio=st.floats(1e-6, 1),
)
def test_yaml_round_trip(tmp_path_factory, seed, lr, size, ratio):
    config = make_config("streets", "smoke", seed=seed, bank={"sample_ratio": ratio}).with_(
        optim__lr=lr, data__size=size
    )
    path = tmp_path_factory.mktemp("yaml") / "run.yaml"
    config.to_yaml(path)
    again = RunConfig.from_yaml(path)
    assert again == config
    assert again.identity == config.identity


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"name": "other"}, True),
        ({"profile": "gpu"}, True),
        ({"device": "cpu"}, True),
        ({"checkpoint_every": 3}, True),
        ({"data__root": "/elsewhere"}, True),
        ({"data__num_workers": 4}, True),
        ({"data__eval_batch_size": 2}, True),
        ({"seed": 1}, False),
        ({"bank": None}, False),
        ({"optim__lr": 1e-3}, False),
        ({"loss__ce_weight": 1.0}, False),
        ({"loss__ohem": False}, True),
        ({"loss__ohem": True}, False),
        ({"model__options": {"decoder_channels": [8, 8, 8, 8, 8]}}, False),
        ({"data__eval_images": 5}, False),
    ],
)
def test_identity_is_of_what_changes_numbers(config, changes, same):
    assert (config.with_(**changes).identity == config.identity) is same


def test_identity_survives_a_new_key_with_a_default(config):
    # A default that is spelled out is the same run as one that is not.
    spelled = RunConfig.from_dict({"data": {"train_images": 8, "eval_images": 4, "hflip": 0.5}, "optim": {}})
    assert spelled.identity == config.identity


def test_lists_and_tuples_are_one(config):
    a = config.with_(model__options={"decoder_channels": [8, 4]})
    b = config.with_(model__options={"decoder_channels": (8, 4)})
    assert a == b
    assert a.identity == b.identity


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"data": {"bacth_size": 3}}, ["data.bacth_size", "batch_size"]),
        (
            {"data": {"train_images": 8, "eval_images": 4}, "bank": {"memry_size": 3}},
            ["bank.memry_size", "memory_size"],
        ),
        ({"optim": {}}, ["data", "missing"]),
        ({"data": {}}, ["train_images"]),
        ({"data": {"name": "folder"}}, ["root"]),
        ({"data": {"name": "cityscape"}}, ["cityscape", "cityscapes"]),
        ({"data": {"train_images": 8, "eval_images": 4}, "optim": {"lr": -1}}, ["optim.lr", "-1"]),
        (
            {"data": {"train_images": 8, "eval_images": 4}, "optim": {"steps": 5, "warmup_steps": 9}},
            ["9", "5"],
        ),
        ({"data": {"train_images": 8, "eval_images": 4, "scale": [2, 1]}}, ["scale"]),
        ({"data": {"train_images": 8, "eval_images": 4, "size": [0, 8]}}, ["size"]),
        (
            {"data": {"train_images": 8, "eval_images": 4}, "loss": {"name": "tversky"}},
            ["loss.name", "tversky"],
        ),
    ],
)
def test_wrong_content_is_named(content, words):
    with pytest.raises(ConfigError) as error:
        RunConfig.from_dict(content)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1,\n", "just words"])
def test_wrong_yaml_names_the_file(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        RunConfig.from_yaml(path)


def test_missing_yaml_names_the_file(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        RunConfig.from_yaml(tmp_path / "none.yaml")


def test_with_names_an_unknown_key(config):
    with pytest.raises(ConfigError, match=r"optim\.lrr.*lr"):
        config.with_(optim__lrr=1)
    with pytest.raises(ConfigError, match="holds no keys"):
        config.with_(seed__x=1)


def test_frozen(config):
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3


@pytest.mark.parametrize(("dataset", "profile"), list(BASE))
def test_every_profile_is_valid(dataset, profile, tmp_path):
    root = str(tmp_path) if dataset == "folder" else None
    assert make_config(dataset, profile, root=root).profile == profile


def test_base_config_is_a_copy(tmp_path):
    base_config("camvid", "smoke", root=str(tmp_path))
    assert "root" not in base_config("camvid", "smoke")["data"]


def test_the_root_of_a_data_set_is_looked_at_at_once(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: no such folder"):
        base_config("camvid", "smoke", root=str(tmp_path / "nowhere"))
    with pytest.raises(OptionError, match="is drawn: it has no folder"):
        base_config("streets", "smoke", root=str(tmp_path))


def test_unknown_profile_lists_those_that_exist():
    with pytest.raises(ConfigError, match="streets/laptop"):
        base_config("streets", "huge")


def test_defaults_do_not_change_an_identity() -> None:
    """The identity that this configuration had before these keys existed."""
    bare: dict = {"data": {"train_images": 8, "eval_images": 4, "photometric": True}}
    spelled = {
        "data": bare["data"] | {"resize": None, "max_class_share": 1.0},
        "evaluation": {"ratios": [1.0]},
    }
    assert RunConfig.from_dict(bare).identity == RunConfig.from_dict(spelled).identity == IDENTITY


IDENTITY = "1d43a331e1c6c21c"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"data": {"resize": [8, 4]}}, r"resize is \(short, long\) side in pixels, got \[8, 4\]"),
        ({"data": {"resize": [4, 8]}}, "needs crop_size"),
        ({"data": {"max_class_share": 0}}, "max_class_share"),
        ({"data": {"photometric": "strong"}}, "photometric"),
        ({"evaluation": {"window": [0, 4]}}, r"window must be positive, got \[0, 4\]"),
        ({"evaluation": {"stride": [4, 4]}}, "give window too"),
        ({"evaluation": {"window": [4, 4], "stride": [4, 5]}}, r"from 1 to the window's size, got \[4, 5\]"),
        ({"evaluation": {"ratios": []}}, r"at least one, got \[\]"),
        ({"evaluation": {"ratios": [1.0, -1.0]}}, r"got \[1.0, -1.0\]"),
    ],
)
def test_bad_options(content: dict, message: str) -> None:
    content = {**content, "data": {"train_images": 8, "eval_images": 4} | content.get("data", {})}
    with pytest.raises(ConfigError, match=message):
        RunConfig.from_dict(content)


def test_normalisation_is_part_of_the_identity_where_it_is_not_imagenets(config):
    """Random weights have ImageNet's, as before it was a key, and so have most encoders."""
    assert config.with_(model__normalization=IMAGENET).identity == config.identity
    for encoder in ("resnet18", "tu-resnet18"):
        hub = config.with_(model__encoder=encoder, model__encoder_weights="imagenet")
        assert hub.with_(model__normalization=IMAGENET).identity == hub.identity
    lite = config.with_(model__encoder="tu-tf_efficientnet_lite0", model__encoder_weights="package")
    assert lite.with_(model__normalization=IMAGENET).identity != lite.identity
    assert lite.with_(model__normalization=LITE).identity == lite.identity == lite.resolved().identity
    assert config.with_(model__normalization=LITE).identity != config.identity


def test_a_record_has_its_normalisation_written_out(config):
    for encoder, weights in (
        ("resnet18", None),
        ("tu-tf_efficientnet_lite0", "package"),
        ("xception", "imagenet"),
    ):
        made = config.with_(model__encoder=encoder, model__encoder_weights=weights)
        content = made.resolved().model_dump(mode="json")
        again = RunConfig.from_dict(content, recorded=True)
        assert again == made
        assert again.identity == made.identity
        # what an older version wrote had ImageNet's, and keeps its name
        del content["model"]["normalization"]
        old = RunConfig.from_dict(content, recorded=True)
        assert old.model.figures == IMAGENET
        assert old.identity == made.with_(model__normalization=IMAGENET).identity


@pytest.mark.parametrize(
    "value", [[[0.5] * 3, [0.5, 0, 0.5]], [[0.5] * 3], "imagenet", [[0.5] * 2, [0.5] * 2]]
)
def test_a_normalisation_that_is_none(config, value):
    with pytest.raises(ConfigError, match=r"model\.normalization|normalization has a deviation"):
        config.with_(model__normalization=value)


def test_normalisation_of_a_networks_own_encoder(config):
    own = config.with_(model__name="deeplabv3plus", model__encoder=None, model__encoder_weights="imagenet")
    assert own.model.figures == IMAGENET
    whole = config.with_(model__name="bisenetv2", model__encoder=None)
    assert whole.model.figures == IMAGENET


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            {"loss": {"name": "weighted_cross_entropy", "weights": "inverz"}},
            "loss.weights: should be 'inverse', 'sqrt_inverse', 'effective_number' or 'power', or a valid "
            "tuple (got 'inverz')",
        ),
        (
            {"model": {"options": {"x": {"a": 1}}}},
            "model.options.x: should be a valid boolean, or a valid int",
        ),
        ({"optim": {"lr": float("inf")}}, "optim.lr: should be a finite number (got inf)"),
        ({"optim": {"lr": float("nan")}}, "optim.lr: should be a finite number (got nan)"),
        ({"loss": {"ce_weight": float("inf")}}, "loss.ce_weight: should be a finite number (got inf)"),
        (
            {"evaluation": {"ratios": [float("nan")]}},
            "evaluation.ratios.0: should be a finite number (got nan)",
        ),
        ({"bank": "tail"}, "bank: should be a valid dictionary or instance of BankConfig (got 'tail')"),
        ({"profile": "../../x"}, "profile: profile '../../x' cannot be the name of a file; use letters"),
        ({"data": {"eval_split": "../val"}}, "data.eval_split: split '../val' cannot be the name of a file"),
        (
            {"data": {"num_workers": 10**6}},
            "data.num_workers: should be less than or equal to 1024 (got 1000000)",
        ),
        (
            {"data": {"size": [10**5, 64]}},
            "data: size is (height, width) in pixels, got [100000, 64]: no such image",
        ),
        ({"data": {"batch_size": 10**9}}, "data.batch_size: should be less than or equal to 65536"),
        ({"optim": {"steps": 10**18}}, "optim.steps: should be less than or equal to 1000000000"),
        ({"checkpoint_every": 10**30}, "checkpoint_every: should be less than or equal to"),
        ({"data": {"train_images": 10**12}}, "data.train_images: should be less than or equal to"),
        ({"seed": 10**30}, "seed: should be less than"),
        ({"rank_timeout": 1e300}, "rank_timeout: should be less than or equal to"),
        ({"accumulate": 10**12}, "accumulate: should be less than or equal to 65536"),
        ({"num_nodes": 10**9}, "num_nodes: should be less than or equal to 65536"),
        ({"bank": {"memory_size": 10**9}}, "bank.memory_size: should be less than or equal to 1048576"),
        ({"optim": {"lr": "x" * 10**5}}, "optim.lr: should be a valid number, unable to parse string"),
        ({"model": {"name": [[["x"] * 99] * 99] * 99}}, "model.name: should be a valid string (got [[["),
    ],
)
def test_what_is_wrong_is_one_short_line(content: dict, line: str) -> None:
    content = {**content, "data": {"train_images": 8, "eval_images": 4} | content.get("data", {})}
    with pytest.raises(ConfigError) as error:
        RunConfig.from_dict(content)
    assert f"configuration is not valid: {line}" in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400
    assert error.value.__cause__ is None  # which would print what it was given, however long that is


def test_several_findings_are_a_line_each():
    content = {"data": {"train_images": 8, "eval_images": 4}, "optim": {"lr": -1, "stepz": 3}, "seed": "x"}
    with pytest.raises(ConfigError) as error:
        RunConfig.from_dict(content)
    assert [line.split(":")[0].strip() for line in str(error.value).splitlines()] == [
        "configuration is not valid",
        "seed",
        "optim.lr",
        "unknown key 'optim.stepz'; did you mean 'steps'?",
    ]


def test_numbers_of_numpy_are_numbers(config):
    changed = config.with_(
        seed=np.int64(3),
        optim__steps=np.int32(2000),
        optim__lr=np.float32(0.5),
        data__size=np.array([32, 64]),
        data__tail_classes=np.array([3, 5]),
        data__train_images=np.uint8(4),
        model__options={"decoder_channels": (np.int64(8), 4), "x": np.bool_(True)},
        evaluation__ratios=[np.float64(0.5)],
    )
    plain = config.with_(
        seed=3,
        optim__steps=2000,
        optim__lr=0.5,
        data__size=[32, 64],
        data__tail_classes=[3, 5],
        data__train_images=4,
        model__options={"decoder_channels": (8, 4), "x": True},
        evaluation__ratios=[0.5],
    )
    assert changed == plain
    assert changed.identity == plain.identity
    assert type(changed.optim.steps) is type(changed.data.tail_classes[0]) is int


@pytest.mark.parametrize("nothing", [None, "none", {"kind": "none"}, {"kind": None}])
def test_no_bank_in_every_spelling(config, nothing):
    assert config.with_(bank=nothing) == config.with_(bank=None)
    assert make_config("streets", "smoke", bank=nothing).bank is None
    assert config.with_settings(["bank.kind=none"]).bank is None


def test_settings_are_yaml_by_dotted_keys(config):
    changed = config.with_settings(
        [
            "optim.steps=600",
            "optim.warmup_steps=500",
            "optim.lr=1e-3",
            "data.crop_size=[32, 64]",
            "data.tail_classes=[train, bus]",
            "loss.name=cross_entropy",
            "loss.ohem=true",
            "bank=none",
            "model.options.decoder_channels=[8, 4]",
        ]
    )
    assert changed == config.with_(
        optim__steps=600,
        optim__warmup_steps=500,
        optim__lr=1e-3,
        data__crop_size=(32, 64),
        data__tail_classes=("train", "bus"),
        loss={"name": "cross_entropy", "ohem": True},
        bank=None,
        model__options={"decoder_channels": (8, 4)},
    )
    assert config.with_settings([]) == config


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("optim.stepz=3", "unknown key 'optim.stepz'; did you mean 'steps'?"),
        ("stepz=3", "unknown key 'stepz'"),
        ("optim.steps", "cannot set 'optim.steps'; write KEY=VALUE"),
        ("=3", "cannot set '=3'"),
        ("optim.steps=[1", "not YAML"),
        ("optim.steps=many", r"optim.steps: should be a valid integer"),
        ("seed.x=1", "'seed' holds no keys here"),
        ("optim.steps=0", "optim.steps: should be greater than or equal to 1"),
        ("optim.warmup_steps=160000", r"warmup_steps \(160000\) must be below steps \(160000\)"),
    ],
)
def test_settings_that_cannot_be(config, setting, words):
    with pytest.raises(ConfigError, match=words):
        config.with_settings([setting])


def test_fewer_steps_than_the_warm_up_shorten_it_and_say_so(config, caplog):
    profile = config.with_(optim__steps=300, optim__warmup_steps=50)
    with caplog.at_level("WARNING", "aucseg"):
        for _ in range(2):
            short = profile.with_settings(["optim.steps=30"])
    assert (short.optim.steps, short.optim.warmup_steps) == (30, 5)
    assert [r.getMessage() for r in caplog.records] == [
        "optim.warmup_steps: 50 does not fit into 30 steps and is 5, the same part of them as of 300"
    ]
    assert profile.with_settings(["optim.steps=51"]).optim.warmup_steps == 50
    assert profile.with_settings(["optim.steps=1"]).optim.warmup_steps == 0
    with pytest.raises(ConfigError, match=r"warmup_steps \(40\) must be below steps \(30\)"):
        profile.with_settings(["optim.steps=30", "optim.warmup_steps=40"])


def test_paths_are_read_as_a_shell_reads_them(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLACE", str(tmp_path / "there"))
    (tmp_path / "run.yaml").write_bytes(
        "data: {name: folder, root: $PLACE/mine}\nmodel: {encoder_weights: ~/w.pth}\n".encode("utf-16")
    )
    config = RunConfig.from_yaml("~/run.yaml")
    assert config.data.root == tmp_path / "there" / "mine"
    assert config.model.encoder_weights == str(tmp_path / "w.pth")
    config.to_yaml("$PLACE/again.yaml")
    assert RunConfig.from_yaml(tmp_path / "there" / "again.yaml") == config


def test_a_key_that_stands_twice_names_the_file(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("seed: 1\ndata: {}\nseed: 2\n")
    with pytest.raises(ConfigError, match=r"run\.yaml: key 'seed' stands there twice, in lines 1 and 3;"):
        RunConfig.from_yaml(path)


def test_a_name_is_a_label_and_no_text() -> None:
    content = make_config("streets", "smoke").model_dump(mode="json")
    with pytest.raises(ConfigError, match=r"name: .* at most 200 characters") as caught:
        RunConfig.from_dict(content | {"name": "x" * 200_000})
    assert len(str(caught.value)) < 500
