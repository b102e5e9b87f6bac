"""The list of all records."""

from __future__ import annotations

import json

from aucseg.experiments import RecordStore, Results, get_experiment, record_listing


def test_each_record_is_listed_with_the_tables_that_read_it() -> None:
    records = [record for record in RecordStore() if record.config["data"]["name"] == "streets"][:40]
    ablation = Results("ablation_components", "streets", "laptop", compute="never")
    second_stage = Results("long_tail_losses", "streets", "laptop", [1], compute="never").record("disalign")
    assert second_stage is not None
    own = {run.config.identity: run.arm.name for run in ablation.runs}
    records += [record for record in ablation.records.values() if record is not None]
    records.append(second_stage)
    listing = record_listing(
        records, [get_experiment(name) for name in ("ablation_components", "long_tail_losses", "multiclass")]
    )
    assert json.loads(json.dumps(listing))[0]["identity"] == records[0].identity
    key = ablation.provenance.key
    for record, entry in zip(records, listing, strict=True):
        arms = [arm for table, arm in entry["tables"] if table == key]
        assert arms == ([own[record.identity]] if record.identity in own else [])
        assert entry["mIoU"] == round(100 * record.metrics["mIoU"], 2)
    assert ["long_tail_losses/streets/laptop", "disalign"] in [list(pair) for pair in listing[-1]["tables"]]
