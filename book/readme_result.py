"""Write the results that README.md shows, from records; a test holds the file to them.

Run it when records have changed::

    python book/readme_result.py --write
"""

from __future__ import annotations

import sys

from aucseg import paths
from aucseg.experiments import GUIDE, Measured, Results, judge, measure_claim
from aucseg.experiments.profiles import Start

BEGIN, END = "<!-- results: python book/readme_result.py --write -->", "<!-- end of results -->"
PLACES: dict[tuple[str, Start | None], str] = {
    ("streets", None): "drawn streets",
    ("camvid", None): "CamVid",
    ("camvid", "imagenet"): "CamVid, ImageNet weights",
}
# For whom each row is, in the words of the guide's claims.
ADVICE = {
    "rare classes that are small in their images": "the AUC loss beside cross entropy",
    "rare classes that most batches lack": "the memory bank beside cross entropy",
    "both": "AUCSeg beside cross entropy",
    "the AUC loss already": "the memory bank beside the AUC loss",
}


def block() -> str:
    """The part of the README between its two marks."""
    told = [f"{title[0].upper()}{title[1:]}: {_results(*place).setting}." for place, title in PLACES.items()]
    lines = [
        f"Tail mIoU in points, paired by seed, with 95% intervals. {' '.join(told)}",
        "",
        f"| you have | compared | {' | '.join(PLACES.values())} | so it is |",
        f"| --- | --- |{' --- |' * len(PLACES)} --- |",
    ]
    claims = {claim.about: claim for question in GUIDE for claim in question.claims}
    for case, about in ADVICE.items():
        measured = measure_claim(claims[about], datasets=dict.fromkeys(name for name, _ in PLACES))
        found = {(each.dataset, each.start): each for each in measured}
        here = [found[place] for place in PLACES if place in found]
        cells = [_cell(found.get(place)) for place in PLACES]
        lines.append(f"| {case} | {about} | {' | '.join(cells)} | **{judge(here).word}** |")
    return "\n".join(lines)


def _results(dataset: str, start: Start | None) -> Results:
    return Results("ablation_components", dataset, "laptop", compute="never", start=start)


def _cell(measured: Measured | None) -> str:
    if measured is None:
        return "not run"
    mean, half = measured.changes["mIoU_tail"]
    return f"{mean:+.2f}, one seed" if measured.seeds == 1 else f"{mean:+.2f} ± {half:.2f}"


def with_results(readme: str) -> str:
    """The README with its results written anew.

    Args:
        readme: its text.

    Raises:
        ValueError: if a mark is missing.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(
            f"README.md lacks the mark {BEGIN if not begin else END!r}; put both where results go"
        )
    return f"{before}{BEGIN}\n\n{block()}\n\n{END}{after}"


def main() -> None:
    """Print the results, or write them into the file."""
    path = paths.home() / "README.md"
    if "--write" in sys.argv[1:]:
        path.write_text(with_results(path.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write(block() + "\n")


if __name__ == "__main__":
    main()
