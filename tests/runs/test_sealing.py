"""Files of a run that notice when a bit of them has changed."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerf_mini.errors import UserError
from nerf_mini.runs.checkpoint import checkpoint_files, load
from nerf_mini.runs.folder import append_metrics, open_run, truncate_metrics
from nerf_mini.runs.history import History, read_history
from nerf_mini.runs.records import StepEntry, ValidationEntry
from nerf_mini.runs.restoring import load_trainer, shapes_of
from nerf_mini.runs.sealing import checksum_of, read_sealed, unsealed, write_sealed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
CONTENTS = st.dictionaries(st.text(max_size=4).filter(lambda key: key != "checksum"), VALUES, max_size=4)


def finite(value):
    """As JSON has it: no infinity."""
    if isinstance(value, dict):
        return {key: finite(member) for key, member in value.items()}
    if isinstance(value, list):
        return [finite(member) for member in value]
    return None if isinstance(value, float) and math.isinf(value) else value


@settings(deadline=None)  # writes files
@given(content=CONTENTS)
def test_what_is_written_is_read(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "sealed.json"
    write_sealed(file, content)
    assert read_sealed(file, required=True) == finite(content)
    file.write_text(json.dumps(json.loads(file.read_text()), sort_keys=True))
    assert read_sealed(file, required=True) == finite(content), "the same values in another order"


def test_every_flipped_bit_is_noticed_or_changes_nothing(tmp_path):
    """Whoever flips a bit of a digit beyond the precision of a float, say, changes nothing."""
    file, content = tmp_path / "a.json", {"a": [1, -2.5e-7, "text"], "b": {"c": None, "d": True, "é": ""}}
    write_sealed(file, content)
    honest = file.read_bytes()
    for place in range(len(honest)):
        for bit in range(8):
            damaged = bytearray(honest)
            damaged[place] ^= 1 << bit
            file.write_bytes(damaged)
            try:
                assert read_sealed(file, required=True) == content, (place, bit)
            except UserError as error:
                assert str(error).startswith(f"{file}: ")


def test_whoever_edits_by_hand_says_so():
    content = {"a": 1, "checksum": checksum_of({"a": 1})}
    assert unsealed(content, "x") == {"a": 1}
    with pytest.raises(UserError, match=r'x: .*does not fit.*"checksum": null'):
        unsealed({**content, "a": 2}, "x")
    assert unsealed({"a": 2, "checksum": None}, "x") == {"a": 2}
    with pytest.raises(UserError, match=r'x: lacks its checksum.*"checksum": null'):
        unsealed({"a": 2}, "x")
    assert unsealed({"a": 2}, "x", required=False) == {"a": 2}


def test_every_damaged_byte_of_a_checkpoint_is_noticed(own_run):
    """Of the headers of the archive too, which say nothing that counts: any change is damage."""
    run, trainer = open_run(own_run), load_trainer(own_run)
    shapes, file = shapes_of(trainer.model), checkpoint_files(run.checkpoints)[-1]
    honest = file.read_bytes()
    assert load(file, shapes).step == 20
    rng = np.random.default_rng(3)
    starts, size = honest.find(b"PK\x01\x02"), len(honest)
    for place in (*range(64), *range(starts, starts + 64), *range(size - 40, size), *rng.integers(0, size, 300)):
        damaged = bytearray(honest)
        damaged[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(damaged)
        with pytest.raises(UserError, match=r"step-0000020\.npz: the checkpoint is damaged"):
            load(file, shapes)


def test_a_checkpoint_under_the_name_of_another_step_is_damaged(own_run):
    older, newer = checkpoint_files(own_run / "checkpoints")
    newer.write_bytes(older.read_bytes())
    said = []
    assert load_trainer(own_run, warn=said.append).step_count == 16
    assert "says that it is of step 16" in said[0] and "Falling back to the checkpoint of step 16" in said[0]


def test_a_line_of_metrics_that_has_changed_is_counted_as_damaged(tmp_path):
    file, entries = tmp_path / "metrics.jsonl", [StepEntry(n, n / 7, 0.01, 20.0 + n, 1e-3, 900.0) for n in (2, 4)]
    for entry in entries:
        append_metrics(file, entry)
    append_metrics(file, ValidationEntry(4, 21.5, "r_000"))
    honest = file.read_bytes()
    assert read_history(file).steps == tuple(entries) and not read_history(file).damaged
    for place in range(honest.index(b"\n")):
        damaged = bytearray(honest)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        found = read_history(file)
        assert found.steps == tuple(entries[1:]) and found.damaged, place
    truncate_metrics(file, 9)
    assert read_history(file) == History(tuple(entries[1:]), (ValidationEntry(4, 21.5, "r_000"),), 0)


def test_a_line_of_an_earlier_version_has_no_checksum(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 3, "validation_psnr": 21.5, "view": "r_000"}\n')
    assert read_history(file).validations == (ValidationEntry(3, 21.5, "r_000"),)
