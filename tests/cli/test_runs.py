from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import yaml
from PIL import Image

import aucseg
from aucseg.cli.runs import check_experiment
from aucseg.data import load_spec
from aucseg.errors import OptionError
from aucseg.experiments import EXPERIMENTS, RecordStore, make_config
from aucseg.training import Record, RunConfig, TrainingStopped, checkpoint_path


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _at_home(home, monkeypatch):
    monkeypatch.setenv("AUCSEG_HOME", str(home))
    monkeypatch.chdir(home)


def test_version_and_help(run):
    assert run("--version")[1].strip() == aucseg.__version__
    out = run("--help")[1]
    for command in ("data", "config", "train", "evaluate", "predict", "sweep", "book"):
        assert command in out


def test_config_train_evaluate_predict(run, home):
    """The four commands of the quickstart, one after the other."""
    code, text, _ = run("config", "--profile", "smoke", "--seed", "3")
    assert code == 0
    content = yaml.safe_load(text)
    (home / "run.yaml").write_text(text)
    config = RunConfig.from_yaml(home / "run.yaml")
    assert config.seed == content["seed"] == 3

    code, out, err = run("train", "run.yaml", "--quiet")
    assert code == 0, err
    record = Record.read(home / "data" / "records" / "smoke" / f"{config.identity}.json")
    assert "tail" in out
    assert checkpoint_path(config).exists()

    code, out, _ = run("evaluate", checkpoint_path(config), "--json")
    assert json.loads(out) == record.metrics
    picture = home / "confusion.png"
    twice = (
        "evaluate",
        checkpoint_path(config),
        "--against",
        checkpoint_path(config),
        "--confusion",
        picture,
    )
    code, out, err = run(*twice)
    assert code == 0, err
    assert "+0.00" in out  # a network gains nothing against itself
    assert picture.stat().st_size > 1000
    code, _, err = run(*twice)
    assert code == 1
    assert "confusion.png" in err
    assert "--overwrite" in err
    code, out, _ = run("evaluate", checkpoint_path(config), "--split", "train")
    assert "motorcycle" in out

    Image.fromarray(np.full((50, 90, 3), 120, np.uint8)).save(home / "photo.jpg")
    code, out, err = run("predict", "photo.jpg", "--checkpoint", checkpoint_path(config), "--overlay")
    assert code == 0, err
    with Image.open(home / "predictions" / "photo.png") as mask:
        assert mask.size == (90, 50)
        assert mask.mode == "P"
        ids = np.asarray(mask)
        colour = np.asarray(mask.convert("RGB"))[0, 0]
    assert ids.max() < 19
    assert tuple(colour) == load_spec("cityscapes").colors[ids[0, 0]]
    with Image.open(home / "predictions" / "photo_overlay.png") as blend:
        assert blend.size == (90, 50)

    (home / "photos" / "sub").mkdir(parents=True)
    (home / "photos" / "list.txt").touch()
    Image.open(home / "photo.jpg").save(home / "photos" / "sub" / "a.webp")
    words = ("predict", "photo.jpg", "photos", "--checkpoint", checkpoint_path(config))
    code, out, err = run(*words)
    assert code == 1
    assert err.startswith("error: predictions/photo.png: is there already; choose another folder")
    assert len(err.splitlines()) == 1
    code, out, err = run(*words, "--overwrite", "--gray")
    assert (code, err) == (0, "passed over, for their endings: 1 .txt\n")
    assert out.split() == ["predictions/photo.png", "predictions/sub/a.png"]
    (home / "photos" / "bad.png").touch()
    code, out, err = run(*words, "--overwrite", "--skip-bad", "--no-recursive")
    assert code == 1
    assert err.startswith("error: photos/bad.png: unreadable image") is False
    assert "left out: photos/bad.png: unreadable image" in err
    assert out.split() == ["predictions/photo.png"]
    code, out, err = run(*words, "--max-pixels", 100, "--output", "elsewhere")
    assert code == 1
    assert "photo.jpg: image of 0.0 megapixels" in err
    assert not (home / "elsewhere").exists()


@pytest.mark.parametrize("profile", ["smoke", "laptop"])
def test_a_printed_arm_is_the_run_that_a_sweep_trains(run, monkeypatch, profile):
    """Of every experiment and every arm, its network, steps and batch included."""
    wanted = []
    monkeypatch.setattr(RecordStore, "ensure", lambda self, configs, **_: wanted.extend(configs))
    for experiment in EXPERIMENTS.values():
        wanted.clear()
        code, _, err = run("sweep", experiment.name, "--profile", profile, "--seed", 3)
        assert code == 0, err
        assert len(wanted) == len(experiment.arms)
        for arm, config in zip(experiment.arms, wanted, strict=True):
            words = ("--experiment", experiment.name, "--arm", arm.name, "--profile", profile, "--seed", 3)
            code, text, err = run("config", *words)
            assert code == 0, err
            printed = RunConfig.from_dict(yaml.safe_load(text))
            assert printed == config, (experiment.name, arm.name)
            assert printed.identity == config.identity


def test_a_printed_arm_takes_the_weights_of_a_sweep(run):
    words = ("--experiment", "networks", "--arm", "ocrnet", "--profile", "smoke")
    code, text, err = run("config", *words, "--encoder-weights", "x.pth")
    assert code == 0, err
    printed = RunConfig.from_dict(yaml.safe_load(text))
    (wanted,) = (
        planned.config
        for planned in EXPERIMENTS["networks"].runs("streets", "smoke", [0], encoder_weights="x.pth")
        if planned.arm.name == "ocrnet"
    )
    assert printed == wanted
    code, text, _ = run("config", "--profile", "smoke", "--encoder-weights", "x.pth")
    assert yaml.safe_load(text)["model"]["encoder_weights"] == "x.pth"


def test_a_printed_arm_has_the_start_of_a_sweep(run, monkeypatch):
    wanted = []
    monkeypatch.setattr(RecordStore, "ensure", lambda self, configs, **_: wanted.extend(configs))
    words = ("--dataset", "camvid", "--start", "imagenet")
    assert run("sweep", "evidence", *words)[0] == 0
    assert {config.model.encoder_weights for config in wanted} == {"package"}
    code, text, err = run("config", "--experiment", "evidence", "--arm", "auc", *words)
    assert code == 0, err
    assert RunConfig.from_dict(yaml.safe_load(text)) in wanted
    assert yaml.safe_load(run("config", *words)[1])["optim"]["decoder_factor"] == 10
    assert run("config", "--start", "image")[0] == 2


def test_a_folder_of_ones_own_is_trained_on_by_its_path(run, home, tiny_camvid):
    code, text, err = run("config", "--dataset", tiny_camvid, "--profile", "paper")
    assert code == 0, err
    content = yaml.safe_load(text)
    assert (content["data"]["name"], content["data"]["root"]) == ("folder", str(tiny_camvid))
    content["data"] |= {"resize": [32, 64], "crop_size": [32, 32], "num_workers": 0}
    content["model"] = {"name": "unet", "encoder": "resnet18"}
    content["optim"] |= {"steps": 2, "warmup_steps": 1}
    (home / "own.yaml").write_text(yaml.safe_dump(content))
    code, out, err = run("train", "own.yaml", "--quiet")
    assert code == 0, err
    assert "record" in out
    code, out, _ = run(
        "sweep", "ablation_components", "--dataset", tiny_camvid, "--profile", "paper", "--compute", "never"
    )
    assert code == 0
    assert out.count("not run") == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "nothing.yaml"), "nothing.yaml"),
        (("evaluate", "nothing.ckpt"), "nothing.ckpt"),
        (("predict", "x.jpg", "--checkpoint", "nothing.ckpt"), "nothing.ckpt"),
        (("sweep", "ablation_component"), "ablation_components"),
        (
            ("sweep", "ablation_components", "--profile", "smoke", "--encoder-weights", "nothing.pth"),
            "nothing.pth",
        ),
        (("config", "--dataset", "streets", "--profile", "paper"), "streets/laptop"),
        (("config", "--experiment", "ablation_components", "--arm", "nope"), "baseline"),
        (("config", "--arm", "both"), "--experiment"),
        (("config", "--dataset", "./nowhere"), "nowhere"),
        (("config", "--dataset", "camvit"), "did you mean 'camvid'"),
    ],
)
def test_bad_input_is_one_line_without_a_traceback(run, arguments, words):
    code, _, err = run(*arguments)
    assert code != 0
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("data odds cityscapes -b 5000", "batch_size must be from 1 to the 2975 images, got 5000"),
        ("data odds cityscapes -b 4 --sample-ratio 0.1 --scope world", "scope must be one of image, batch"),
        ("data odds camvit -b 4 --table table.csv", "no statistics of 'camvit'"),
        ("data odds cityscapes -b 4 --table latin.csv", "is not UTF-8 text"),
        ("data tail cityscapes --tail 0.5 --head 0.1", "need 0 < tail <= head < 1"),
        ("data tail cityscapes --tail 0.00001", "there is no tail"),
        ("data tail cityscapes --image-size 0 512", "image_size"),
        ("data tail cityscapes --budget-mib 0.001", "over the budget"),
        ("data tail cityscapes --budget-mib nan", "above 0, got nan"),
        ("evaluate latin.csv", "latin.csv: is damaged or not a checkpoint"),
        ("predict x.png --checkpoint latin.csv", "latin.csv: is damaged or not a checkpoint"),
        ("data stats FOLDER --as voc --images x --masks y", "given both or not at all"),
        ("data stats FOLDER --images x --masks y", "a pattern is a relative path"),
        ("data verify FOLDER --as camvit", "did you mean 'camvid'"),
        ("data prepare folder FOLDER --size 0 8 --dest out", "both positive"),
        ("data prepare folder FOLDER --dest latin.csv/out", "cannot be written (Not a directory)"),
        ("bound cityscapes --lipschitz -1", "lipschitz is -1"),
        ("bound cityscapes --cover 1 1e-9 1e-9", "larger cover_b or cover_c"),
        ("bound FOLDER --crop 999 999", "smaller than the crop"),
        ("gap --test-images 1024 --largest 16 --seeds 3 --output latin.csv/gap.csv", "cannot be written"),
    ],
)
def test_bad_option_is_one_line(run, home, tiny_camvid, line, words):
    """What these commands raise is an error for users where it arises, not by a net over all they call."""
    (home / "latin.csv").write_bytes("file,c0\nStra\xdfe,1\n".encode("latin-1"))
    code, _, err = run(*line.replace("FOLDER", str(tiny_camvid)).split())
    assert code == 1, err
    assert words in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("model", "name", "unett", "did you mean 'unet'"),
        ("model", "encoder", "resnet19", "did you mean 'resnet18'"),
        ("model", "encoder_weights", "nothing.pth", "nothing.pth"),
        ("model", "options", {"decoder_channel": [8]}, "'decoder_channel'"),
        ("data", "size", [16, 16], "at least (32, 48)"),
    ],
)
def test_what_cannot_be_built_is_one_line(run, home, section, key, value, words):
    content = make_config("streets", "smoke").model_dump(mode="json")
    content[section][key] = value
    (home / "wrong.yaml").write_text(yaml.safe_dump(content))
    code, _, err = run("train", "wrong.yaml", "--quiet")
    assert code == 1
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_a_wrong_key_is_named(run, home):
    (home / "wrong.yaml").write_text("data: {train_images: 4, eval_images: 4, bacth_size: 2}\n")
    code, _, err = run("train", "wrong.yaml")
    assert code == 1
    assert "batch_size" in err


def test_unreadable_image_stops_before_anything_is_written(run, home, tmp_path):
    _, text, _ = run("config", "--profile", "smoke", "--seed", "3")
    config = RunConfig.from_dict(yaml.safe_load(text))
    if not checkpoint_path(config).exists():
        (home / "run.yaml").write_text(text)
        run("train", "run.yaml", "--quiet")
    (home / "bad.jpg").write_bytes(b"not an image")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(home / "good.png")
    output = tmp_path / "out"
    code, _, err = run(
        "predict", "good.png", "bad.jpg", "--checkpoint", checkpoint_path(config), "--output", output
    )
    assert code == 1
    assert "bad.jpg" in err
    assert not output.exists()
    (tmp_path / "good.png").write_bytes((home / "good.png").read_bytes())
    code, _, err = run(
        "predict",
        "good.png",
        tmp_path / "good.png",
        "--checkpoint",
        checkpoint_path(config),
        "--output",
        output,
    )
    assert code == 1
    assert "would be written of it and of" in err
    assert not output.exists()


def test_a_configuration_takes_settings_a_loss_and_no_bank(run):
    words = ("config", "--profile", "smoke", "--loss", "cross_entropy", "--no-bank", "--set", "optim.steps=7")
    code, text, err = run(*words, "--set", "data.crop_size=[32, 64]")
    assert code == 0, err
    made = RunConfig.from_dict(yaml.safe_load(text))
    assert made == make_config("streets", "smoke", bank=None).with_(
        loss__name="cross_entropy", optim__steps=7, data__crop_size=(32, 64)
    )
    code, _, err = run(*words, "--set", "optim.stepz=7")
    assert (code, err) == (
        1,
        "error: configuration is not valid: unknown key 'optim.stepz'; did you mean 'steps'?\n",
    )


def test_a_training_takes_settings(run, home, monkeypatch):
    make_config("streets", "smoke").to_yaml(home / "set.yaml")
    seen: list[RunConfig] = []

    def stopped(self, config, folder, **_):
        seen.append(config)
        raise TrainingStopped("stopped; runs/x/last.ckpt has step 3", 2)

    monkeypatch.setattr(RecordStore, "train", stopped)
    code, out, err = run("train", "set.yaml", "--set", "seed=7", "--set", "optim.steps=9")
    assert (code, out, err) == (130, "", "stopped; runs/x/last.ckpt has step 3\n")
    assert seen == [make_config("streets", "smoke", seed=7).with_(optim__steps=9)]


def test_names_of_experiments_are_read_without_importing_them(run):
    """An unknown one is refused before PyTorch is imported, and no known one is."""
    for name in EXPERIMENTS:
        check_experiment(name)
    with pytest.raises(OptionError, match=r"known: .*ablation_components"):
        check_experiment("x")
    program = (
        "import sys\n"
        "from aucseg.cli import app\n"
        "try:\n"
        "    app()\n"
        "finally:\n"
        "    print({'torch', 'pandas', 'matplotlib'} & set(sys.modules), file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", program, "sweep", "ablation_component"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "error: unknown experiment 'ablation_component'; did you mean 'ablation_components'?\nset()\n"
    )


def test_a_place_that_cannot_be_made_is_one_line(run, home):
    make_config("streets", "smoke").to_yaml(home / "place.yaml")
    (home / "a_file").touch()
    code, _, err = run("train", "place.yaml", "--folder", "a_file", "--quiet")
    assert (code, err.count("\n")) == (1, 1)
    assert "a_file: cannot be written to (File exists); it is a file: name a folder" in err
