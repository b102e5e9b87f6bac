"""What the page on what to use when shows: every verdict and number from records, none typed."""

from __future__ import annotations

from functools import cache
from html import escape

from aucseg.experiments import GUIDE, VERDICT_WORDS, Claim, Measured, Verdict, judge, measure_claim

_LEVEL = 0.95
_JOIN = "\N{NO-BREAK SPACE}"
_SHORT = {"mIoU_tail": "tail", "mIoU": "all classes", "mIoU_head": "head"}


@cache
def _measured(claim: Claim) -> tuple[tuple[Measured, ...], Verdict]:
    found = measure_claim(claim)
    return found, judge(found)


def facts() -> dict[str, str]:
    """The substitutions of the page by their names."""
    return {
        "guide_summary": _summary(),
        "guide_chance": _chance(),
        **{f"guide_{question.name}": _question(question.name) for question in GUIDE},
    }


def _summary() -> str:
    """One row for each question: its claims by their verdicts."""
    used = {_measured(claim)[1].word for question in GUIDE for claim in question.claims}
    words = [word for word in VERDICT_WORDS if word in used]
    lines = [f"| | {' | '.join(words)} |", f"| --- |{' --- |' * len(words)}"]
    for question in GUIDE:
        by_word: dict[str, list[str]] = {word: [] for word in words}
        for claim in question.claims:
            by_word[_measured(claim)[1].word].append(claim.about)
        cells = [";<br>".join(by_word[word]) for word in words]
        lines.append(f"| [{question.ask}](guide-{question.name.replace('_', '-')}) | {' | '.join(cells)} |")
    return "\n".join(lines)


def _chance() -> str:
    """How many intervals the page has, and how many of them would leave zero out where nothing is there."""
    signs = [
        sign
        for question in GUIDE
        for claim in question.claims
        for each in _measured(claim)[0]
        for metric in each.changes
        if (sign := each.sign(metric))
    ]
    decided = sum(sign != "open" for sign in signs)
    return (
        f"This page has {len(signs)} intervals, and {decided} of them leave zero out. Were no method better "
        f"or worse than another, about {len(signs) * (1 - _LEVEL):.0f} would do so by chance."
    )


def _question(name: str) -> str:
    """What follows by itself, and a table of the claims of one question."""
    (question,) = (each for each in GUIDE if each.name == name)
    lines = [
        question.why,
        "",
        f"| | verdict | where | runs | {' | '.join(_SHORT.values())} |",
        f"| --- | --- | --- | --- |{' --: |' * len(_SHORT)}",
    ]
    for claim in question.claims:
        found, verdict = _measured(claim)
        first = f"{{doc}}`{claim.about} <{claim.chapter}>` | **{verdict.word}**"
        for number, each in enumerate(found):
            seeds = f"{each.seeds}{_JOIN}seed{'' if each.seeds == 1 else 's'}"
            link = f'<a class="aucseg-records" data-records="{escape(each.key)}">{seeds}</a>'
            cells = [_cell(each, metric) for metric in _SHORT]
            head = first if number == 0 else " | "
            lines.append(f"| {head} | {each.place} | {link} | {' | '.join(cells)} |")
        if not found:
            lines.append(f"| {first} | | |{' |' * len(_SHORT)}")
    return "\n".join(lines)


def _cell(measured: Measured, metric: str) -> str:
    if metric not in measured.changes:
        return "–"
    mean, half = measured.changes[metric]
    text = f"{mean:+.2f}" if half != half else f"{mean:+.2f}{_JOIN}±{_JOIN}{half:.2f}"
    return f"**{text}**" if measured.sign(metric) in ("rises", "falls") else text
