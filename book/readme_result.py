"""Write the results that README.md shows, from records; a test holds the file to them.

Run it when records have changed::

    python book/readme_result.py --write
"""

from __future__ import annotations

import sys

from aucseg import paths
from aucseg.experiments import DATASET_TITLES, GUIDE, Results, judge, measure_claim

BEGIN, END = "<!-- results: python book/readme_result.py --write -->", "<!-- end of results -->"
DATASETS = ("streets", "camvid")
# For whom each row is, in the words of the guide's claims.
ADVICE = {
    "rare classes that are small in their images": "the AUC loss beside cross entropy",
    "rare classes that most batches lack": "the memory bank beside cross entropy",
    "both": "AUCSeg beside cross entropy",
    "the AUC loss already": "the memory bank beside the AUC loss",
}


def block() -> str:
    """The part of the README between its two marks."""
    sizes = (Results("ablation_components", name, "laptop", compute="never") for name in DATASETS)
    streets, camvid = ("{} x {}".format(*found.config("baseline").data.size) for found in sizes)
    lines = [
        "Tail mIoU in points, paired by seed, with 95% intervals: a small U-Net from random weights, a few",
        f"hundred steps, images of {streets} (drawn streets) and {camvid} pixels (CamVid).",
        "",
        f"| you have | compared | {' | '.join(DATASET_TITLES[name] for name in DATASETS)} | so it is |",
        f"| --- | --- |{' --- |' * len(DATASETS)} --- |",
    ]
    claims = {claim.about: claim for question in GUIDE for claim in question.claims}
    for case, about in ADVICE.items():
        found = {
            each.dataset: each
            for each in measure_claim(claims[about], datasets=DATASETS)
            if each.start is None
        }
        cells = ["{:+.2f} ± {:.2f}".format(*found[name].changes["mIoU_tail"]) for name in DATASETS]
        verdict = judge(list(found.values()))
        lines.append(f"| {case} | {about} | {' | '.join(cells)} | **{verdict.word}** |")
    return "\n".join(lines)


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
