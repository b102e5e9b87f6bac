"""The report of a comparison: one HTML page with its figures inside, and the numbers beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from functools import partial
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from aucseg.data.files import probe_folder, write_file
from aucseg.data.spec import ClassSpec
from aucseg.errors import DataError, file_errors, how_many
from aucseg.experiments import RecordStore, Results, in_words, network_title
from aucseg.plots.bank import outlined
from aucseg.plots.masks import colorize, image_grid, to_rgb
from aucseg.plots.results import class_bars, effect_plot, learning_curves
from aucseg.plots.style import use_style
from aucseg.plots.tables import measured_table
from aucseg.training import (
    SegmentationDataModule,
    SegmentationModule,
    checkpoint_path,
    load_module,
    predict_image,
)
from aucseg.training.bank import make_bank

_BARS = 20  # classes in a figure, at most
_MARK = '<meta name="generator" content="aucseg compare">'
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
img { max-width: 100%; height: auto; background: white; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
td, th { padding: 0.3rem 0.8rem; text-align: right; border-bottom: 1px solid #8884; }
td:first-child, th:first-child { text-align: left; }
caption { text-align: left; padding: 0.3rem 0; }
code { overflow-wrap: anywhere; }
.figure { overflow-x: auto; }
.note { opacity: 0.75; }
.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; }
.legend span { display: inline-block; width: 1em; height: 1em; margin-right: 0.4em; border: 1px solid #8888;
  vertical-align: -0.1em; }
@media (max-width: 45rem) {
  body { font-size: 15px; margin: 1rem auto; }
  h1 { font-size: 1.5em; }
  td, th { padding: 0.3rem 0.4rem; }
  .figure img { max-width: none; width: 42rem; }
}
"""


def comparison_report(results: Results, folder: str | Path, *, images: int = 4) -> Path:
    """Write what a comparison came to: ``index.html``, and its numbers as CSV.

    The page holds means with intervals, what each method changes, class by class, the curves, what the
    networks predict on the images with the most pixels of tail classes, and what the bank pasted. Networks
    are those of the first seed, from their checkpoints; where there is none on this machine the page says so.

    Args:
        results: of :func:`aucseg.experiments.comparison`, or of any experiment.
        folder: where the report goes; made if it is not there. A report that lies there is replaced, any
            other ``index.html`` is not.
        images: how many images are shown.

    Returns:
        The page.

    Raises:
        DataError: if a file lies there that is not such a report, or the system refuses.
    """
    folder = Path(folder)
    page = check_report_folder(folder)
    use_style()
    metrics = results.experiment.metrics
    parts = [
        _head(results),
        _section("What it comes to", _table(results, metrics), _list(results)),
        _section("What each method changes", *_effects(results, metrics)),
        _section("Class by class", *_classes(results)),
        _section("Curves", *_curves(results)),
        _section("Predictions", *_predictions(results, images)),
        _section("What the bank pasted", *_pastes(results, images)),
        _section("The runs behind it", _runs(results)),
    ]
    body = "\n".join(part for part in parts if part)
    title = escape(f"{results.experiment.title} – {Path(results.dataset).name}")
    html = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{_MARK}\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>{body}</body></html>\n"
    )
    for name, frame in (
        ("runs.csv", results.tidy),
        ("summary.csv", results.summary),
        ("effects.csv", results.effects()),
        ("per_class.csv", results.classes),
    ):
        text = frame.to_csv(index=False, lineterminator="\n")
        write_file(folder / name, partial(Path.write_text, data=text, encoding="utf-8"))
    write_file(page, partial(Path.write_text, data=html, encoding="utf-8"))
    return page


def check_report_folder(folder: Path) -> Path:
    """The page of a report that may be written.

    Args:
        folder: its folder; it need not be there.

    Raises:
        DataError: if a file lies there that is not such a report, or the folder cannot be made.
    """
    page = folder / "index.html"
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    probe_folder(folder)
    with file_errors(folder, "cannot be written to"):
        for place in missing:  # an empty folder would say that there was a report
            place.rmdir()
    if page.exists() and _MARK not in page.read_text(encoding="utf-8", errors="replace"):
        raise DataError("is not a report of aucseg", file=page, remedy="choose another folder with --output")
    return page


def _section(title: str, *parts: str) -> str:
    inside = "\n".join(part for part in parts if part)
    return f"<h2>{escape(title)}</h2>\n{inside}" if inside else ""


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'


def _figure(figure: Figure, alternative: str) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120)
    plt.close(figure)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<p class="figure"><img alt="{escape(alternative)}" src="data:image/png;base64,{data}"></p>'


def _head(results: Results) -> str:
    config = results.runs[0].config
    data, size = config.data, config.data.crop_size or config.data.size
    record = next((r for r in results.records.values() if r is not None), None)
    counted = (
        ""
        if record is None
        else f", {record.dataset['train_images']} images, evaluated on {record.dataset['eval_images']} of "
        f"split {data.eval_split!r}"
    )
    told = config.model.encoder_weights
    weights = {None: "random weights", "package": "ImageNet weights", "imagenet": "ImageNet weights"}.get(
        told, f"the weights {told}"
    )
    lines = (
        results.experiment.title,
        f"{Path(results.dataset).name}: split {data.train_split!r}{counted}.",
        f"{network_title(config.model.name, config.model.encoder)} from {weights}, "
        f"{config.optim.steps} steps of {data.batch_size} crops of {size[0]} x {size[1]}, profile "
        f"{results.profile}, seeds {', '.join(map(str, results.seeds))}. Numbers are those of the last step.",
    )
    heading, *rest = map(escape, lines)
    return f"<h1>{heading}</h1>" + "".join(f"<p>{line}</p>" for line in rest)


def _table(results: Results, metrics: tuple[str, ...]) -> str:
    caption = "Percent, mean and 95% interval over seeds"
    return str(measured_table(results.summary, results.labels, metrics=metrics, caption=caption).to_html())


def _list(results: Results) -> str:
    base = results.experiment.baseline
    lines = []
    for arm, label in results.labels.items():
        if arm == base:
            continue
        overall, tail = (in_words(results.difference(arm, base, metric)) for metric in ("mIoU", "mIoU_tail"))
        lines.append(f"<li>{escape(label)}: mIoU {escape(overall)}; tail {escape(tail)}</li>")
    head = f"Less {results.labels[base]}, in points, paired by seed. Undecided: the interval holds zero."
    return f"<p>{escape(head)}</p><ul>{''.join(lines)}</ul>"


def _effects(results: Results, metrics: tuple[str, ...]) -> Iterator[str]:
    table = results.beside()
    known = [metric for metric in metrics if (table["metric"] == metric).any()]
    if known and len(results.labels) > 1:
        figure = effect_plot(table, results.labels, baseline=results.experiment.baseline, metrics=known)
        yield _figure(figure, "Change of each metric against the first method, with intervals")


def _classes(results: Results) -> Iterator[str]:
    classes = results.classes
    if classes.empty:
        return
    record = next(r for r in results.records.values() if r is not None)
    shown, accuracy = set(classes["class"]), record.metrics.get("accuracy", {})
    # A class that is predicted and occurs in no label has an IoU, 0, and no accuracy.
    absent = [n for n in record.dataset["classes"] if n not in shown or accuracy.get(n, 0) is None]
    order = [name for name in record.dataset["classes"] if name not in absent]
    if absent:
        split, several = results.runs[0].config.data.eval_split, how_many(len(absent), "class", "classes")
        yield _note(f"Split {split!r} has no pixel of {several}, which are not shown: {', '.join(absent)}.")
    figures = -(-len(order) // _BARS)
    for number in range(figures):  # as many in each, so that no bar is wider than others
        part = order[number * len(order) // figures : (number + 1) * len(order) // figures]
        figure, ax = plt.subplots(figsize=(11, 4.2))
        class_bars(classes[classes["class"].isin(part)], results.labels, order=part, ax=ax)
        yield _figure(figure, f"IoU of the classes {', '.join(part)} by method")


def _curves(results: Results) -> Iterator[str]:
    histories: dict[str, Any] = {}
    validations: dict[str, Any] = {}
    for run in results.runs:
        record = results.records.get(run.config.identity)
        if record is not None and run.config.seed == results.seeds[0]:
            histories[run.arm.label] = record.history
            validations[run.arm.label] = record.validation or {}
    curves = {"loss": histories, "mIoU": validations, "mIoU_tail": validations}
    for key in (key for key, found in curves.items() if any(key in each for each in found.values())):
        figure, ax = plt.subplots(figsize=(7, 3.2))
        learning_curves(curves[key], key, ax=ax)
        yield _figure(figure, f"{key} over steps, first seed")


def _networks(results: Results) -> dict[str, SegmentationModule]:
    found = {}
    for arm, label in results.labels.items():
        path = checkpoint_path(results.config(arm))
        if path.exists():
            found[label] = load_module(path)
    return found


def _predictions(results: Results, number: int) -> Iterator[str]:
    networks = _networks(results)
    if not networks:
        yield _note("No checkpoint of the first seed is on this machine.")
        return
    data = SegmentationDataModule(results.config(results.experiment.baseline))
    items, spec = data.eval_set, data.spec
    tail = torch.tensor(spec.tail or range(spec.num_classes))
    counts = [
        int(torch.isin(torch.as_tensor(np.asarray(items[i][1])), tail).sum()) for i in range(len(items))
    ]
    rows = []
    for index in np.argsort(counts, kind="stable")[::-1][:number]:
        image, mask = (torch.as_tensor(np.asarray(part)) for part in items[int(index)])
        row = [to_rgb(image), colorize(mask.numpy(), spec)]
        for module in networks.values():
            row.append(colorize(predict_image(module, to_rgb(image)), spec))
        rows.append(row)
    figure = image_grid(rows, titles=("image", "labels", *networks), width=11 / len(rows[0]))
    yield _note("The images with the most pixels of tail classes, networks of the first seed.")
    yield _figure(figure, "Images, labels and what each network predicts")
    yield _legend(spec)


def _legend(spec: ClassSpec) -> str:
    """The colour of each class."""
    named = [*zip(spec.names, spec.colors, strict=True), ("void", (0, 0, 0))]
    items = (
        f'<li><span style="background: rgb({r}, {g}, {b})"></span>{escape(name)}</li>'
        for name, (r, g, b) in named
    )
    return f'<ul class="legend">{"".join(items)}</ul>'


def _pastes(results: Results, number: int) -> Iterator[str]:
    for arm, label in results.labels.items():
        config = results.config(arm)
        if config.bank is None:
            continue
        data = SegmentationDataModule(config)
        size = config.data.crop_size or config.data.size
        bank = make_bank(config.bank, data.classes, size, torch.Generator().manual_seed(config.seed))
        for images, target in islice(data.training_loader(), 4):  # by the fourth it holds something
            before = target.long()
            pasted, after = bank(images, before)
        shown, (height, width) = min(number, len(images)), images.shape[-2:]
        figure, axes = plt.subplots(1, shown, figsize=(11, 11 / shown * height / width), squeeze=False)
        for k, ax in enumerate(axes[0]):
            outlined(ax, pasted[k], before[k], after[k])
        labelled = before != data.spec.ignore_index
        changed = float(((after != before) & labelled).sum() / labelled.sum().clamp(min=1))
        yield _note(
            f"{label}: a batch in which {changed:.1%} of the labelled pixels have another label than before."
        )
        yield _figure(figure, f"Training crops with what the bank pasted, {label}")


def _runs(results: Results) -> str:
    store = RecordStore()
    rows = []
    for run in results.runs:
        record = results.records.get(run.config.identity)
        state = "not run" if record is None else f"{100 * record.metrics['mIoU']:.2f}"
        cells = (run.arm.label, str(run.config.seed), state, store.path(run.config).name)
        rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    head = "<tr><th>method</th><th>seed</th><th>mIoU (%)</th><th>record</th></tr>"
    folder = store.path(results.runs[0].config).parent
    where = f'<p class="note">Records lie in <code>{escape(str(folder))}</code>.</p>'
    return f"<table>{head}{''.join(rows)}</table>\n{where}"
