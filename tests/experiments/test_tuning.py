"""What validation images chose, and that the profiles have it."""

from __future__ import annotations

import pytest

from aucseg.experiments import STARTS, TUNING_DATASETS, RecordStore, Results, base_config, best_setting
from aucseg.experiments.catalogue import get_experiment
from tests.training.test_record import make_record

TUNING = get_experiment("evidence_tuning")


def _put(store: RecordStore, config, miou: float) -> None:
    update = {
        "identity": config.identity,
        "profile": config.profile,
        "config": config.resolved().model_dump(mode="json"),
    }
    store.put(make_record(miou=miou).model_copy(update=update))


@pytest.mark.parametrize("start", STARTS)
def test_the_best_mean_over_losses_is_chosen_once_all_are_there(tmp_path, start):
    """Rate 0.01 is best for AUC alone, 0.002 for cross entropy alone, 0.005 with 400 steps for both."""
    store = RecordStore(tmp_path)
    runs = TUNING.runs("camvid", "laptop", [0], start=start)
    gains = {"auc_lr_0.01_steps_800": 0.9, "baseline_lr_0.002_steps_800": 0.9}
    gains |= {f"{loss}_lr_0.005_steps_400": 0.8 for loss in ("baseline", "auc")}
    for run in runs[:-1]:
        _put(store, run.config, gains.get(run.arm.name, 0.3))
    options = {"start": start, "store": store}
    assert best_setting(Results(TUNING, "camvid", "laptop", [0], "never", **options)) is None
    _put(store, runs[-1].config, gains.get(runs[-1].arm.name, 0.3))
    assert best_setting(Results(TUNING, "camvid", "laptop", [0], "never", **options)) == (5e-3, 400)


def test_a_choice_on_test_images_is_refused(tmp_path):
    tried = Results("evidence", "camvid", "smoke", [0], "never", store=RecordStore(tmp_path))
    with pytest.raises(ValueError, match="split 'test'; choices are made on 'val'"):
        best_setting(tried)


@pytest.mark.parametrize("dataset", TUNING_DATASETS)
def test_every_setting_is_one_run_on_validation_images(dataset):
    runs = TUNING.runs(dataset, "laptop", [0], start="imagenet")
    assert len({run.config.identity for run in runs}) == len(runs)
    assert {run.config.data.eval_split for run in runs} == {"val"}
    budget = [
        sorted(run.arm.name.removeprefix(loss) for run in runs if run.arm.name.startswith(loss))
        for loss in ("baseline", "auc")
    ]
    assert budget[0] == budget[1]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("dataset", TUNING_DATASETS)
def test_profiles_have_what_was_chosen(dataset, start):
    best = best_setting(Results(TUNING, dataset, "laptop", [0], "never", start=start))
    if best is None:
        pytest.skip(f"evidence_tuning on {dataset} from {start} is not recorded in full")
    optim = base_config(dataset, "laptop", start=start)["optim"]
    assert (optim["lr"] * optim.get("decoder_factor", 1.0), optim["steps"]) == pytest.approx(best)
