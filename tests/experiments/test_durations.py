"""Times of recorded runs: no run of the project took less than its steps."""

from __future__ import annotations

import json

from aucseg.experiments import Results
from aucseg.experiments.durations import training_seconds
from tests.repository import ROOT


def test_no_committed_record_counts_less_than_half_of_its_steps() -> None:
    """One of them states 0.1 seconds for 800 steps."""
    lost = 0
    for path in (ROOT / "data" / "records").glob("*/*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        if "timing" not in record:
            continue
        timing, steps = record["timing"], record["config"]["optim"]["steps"]
        seconds = training_seconds(timing, record["config"])
        assert seconds >= 0.5 * steps * timing["seconds_per_step"], path.name
        assert seconds == timing["seconds_total"] or timing["seconds_total"] < 0.5 * seconds
        lost += seconds != timing["seconds_total"]
    assert lost >= 1


def test_a_table_tells_the_whole_time() -> None:
    results = Results("resize_ratio", "streets", "laptop", [0], "never")
    (lost,) = [record for record in results.records.values() if record and record.timing["seconds_total"] < 1]
    whole = 800 * lost.timing["seconds_per_step"]
    others = sum(r.timing["seconds_total"] for r in results.records.values() if r and r is not lost)
    assert abs(results.provenance.seconds - others - whole) < 1e-6
