# SPDX-License-Identifier: Apache-2.0
"""RowSample, calibrate, evaluate, files of rows, and the encoder."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import hccs


def drawn(rng, rows=300, n=24):
    return rng.normal(0, 2, (rows, n)).astype(np.float32)


def samples_of(parts, heads=4, capacity=100, seed=7):
    """Samples of heads, of parts of one set of rows: [(first id, logits [heads, rows, n]), ...]."""
    samples = [hccs.RowSample(capacity, seed) for _ in range(heads)]
    for first, logits in parts:
        for sample, rows in zip(samples, logits):
            sample.add(first, rows)
    return samples


def test_merged_samples_are_one(rng, tmp_path):
    logits = np.stack([drawn(rng) for _ in range(4)])
    one = samples_of([(0, logits)])
    parts = [samples_of([(first, logits[:, first : first + 100])]) for first in (200, 0, 100)]
    parts[1] = pickle.loads(pickle.dumps(parts[1]))
    merged = parts[0]
    for other in parts[1:]:
        for a, b in zip(merged, other):
            a.merge(b)
    for a, b in zip(one, merged):
        assert (len(a), a.rows_seen) == (len(b), b.rows_seen) == (100, 300)
        for (id_a, row_a), (id_b, row_b) in zip(a.rows(), b.rows()):
            assert id_a == id_b
            np.testing.assert_array_equal(row_a, row_b)
    for name, samples in (("one", one), ("merged", merged)):
        hccs.calibrate(samples, heads=2, knees=1, threads=2, progress=False).save(tmp_path / name)
        hccs.save_rows(tmp_path / (name + ".rows"), samples, heads=2, model="m")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "merged").read_bytes()
    assert (tmp_path / "one.rows").read_bytes() == (tmp_path / "merged.rows").read_bytes()
    with pytest.raises(ValueError, match="both samples"):
        one[0].merge(merged[0])
    with pytest.raises(ValueError, match="seed 7.*seed 8"):
        one[0].merge(hccs.RowSample(100, 8))


def test_masked_positions_never_enter(rng):
    logits = drawn(rng, 6, 10)
    mask = rng.random((6, 10)) < 0.6
    mask[2] = False
    sample = hccs.RowSample()
    sample.add(10, logits, mask=mask)
    found = dict(sample.rows())
    assert sorted(found) == [10, 11, 13, 14, 15]
    for i in (0, 1, 3, 4, 5):
        np.testing.assert_array_equal(found[10 + i], logits[i, mask[i]])
    lengths = hccs.RowSample()
    lengths.add(0, logits.astype(np.float64)[:, ::-1], lengths=[1, 2, 3, 4, 0, 10])
    np.testing.assert_array_equal(dict(lengths.rows())[2], logits[2, ::-1][:3])
    assert len(lengths) == 5
    one = hccs.RowSample(3, 1)
    one.add(5, logits[0])
    one.add(6, np.full(4, np.nan))
    assert (len(one), one.rows_seen, one.non_finite_rows) == (1, 2, 1)


def test_calibration_is_what_the_program_does(rng, tmp_path, program):
    (tmp_path / "dumps").mkdir()
    logits = np.stack([drawn(rng) for _ in range(4)])
    for i, rows in enumerate(logits):
        np.save(tmp_path / "dumps" / f"layer{i // 2}_head{i % 2}.npy", rows)
    program(
        "calibrate", "--logits", tmp_path / "dumps", "--rows", 100, "--seed", 7, "-o", tmp_path / "p.json", "--knees", 2
    )
    theirs = hccs.Params.load(tmp_path / "p.json")
    mine = hccs.calibrate(samples_of([(0, logits)]), heads=2, knees=2, model="dumps", progress=False)
    assert mine == theirs
    assert [e.kl for e in mine.entries] == [e.kl for e in theirs.entries]
    assert mine.fits[0].params == mine[0, 0].params and mine.fits[0].longest_row == 24
    hccs.save_rows(tmp_path / "r", samples_of([(0, logits)]), heads=2, model="dumps")
    program("calibrate", "--rows", tmp_path / "r", "-o", tmp_path / "q.json", "--knees", 2)
    mine.save(tmp_path / "mine.json")
    assert (tmp_path / "q.json").read_bytes() == (tmp_path / "mine.json").read_bytes()


def test_evaluation(rng):
    logits = np.stack([drawn(rng) for _ in range(4)])
    params = hccs.calibrate(samples_of([(0, logits[:, :200])]), heads=2, progress=False)
    held_out = samples_of([(200, logits[:, 200:])])
    found = hccs.evaluate(held_out, params)
    assert [(e.layer, e.head, e.rows) for e in found] == [(0, 0, 100), (0, 1, 100), (1, 0, 100), (1, 1, 100)]
    plan = hccs.Plan([e.params for e in params.entries])
    for i, e in enumerate(found):
        x = logits[i, 200:].astype(np.float64)
        exact = np.exp(x - x.max(-1, keepdims=True))
        exact /= exact.sum(-1, keepdims=True)
        p = plan(hccs.quantise_logits(logits[i, 200:], params.entries[i].step), first_head=i) / 255
        assert abs(e.largest_error - np.abs(p - exact).max()) < 1e-6
        assert e.top1_agreement == (p.argmax(-1) == exact.argmax(-1)).mean()
        assert 0 < e.kl_mean < 0.1


def test_files_of_rows(rng, tmp_path):
    logits = np.stack([drawn(rng) for _ in range(4)])
    for name, first in (("a", 0), ("b", 150)):
        hccs.save_rows(tmp_path / name, samples_of([(first, logits[:, first : first + 150])]), heads=2, model="m")
    samples, heads = hccs.load_rows([tmp_path / "b", tmp_path / "a"])
    assert heads == 2
    for a, b in zip(samples, samples_of([(0, logits)])):
        assert [i for i, _ in a.rows()] == [i for i, _ in b.rows()]
    with pytest.raises(FileNotFoundError, match="absent"):
        hccs.load_rows([tmp_path / "absent"])
    with pytest.raises(ValueError, match="both"):
        hccs.load_rows([tmp_path / "a", tmp_path / "a"])
    (tmp_path / "bad").write_bytes((tmp_path / "a").read_bytes().replace(b"hccs-rows", b"fccs-rows"))
    with pytest.raises(ValueError, match="bad.*fccs-rows"):
        hccs.load_rows([tmp_path / "bad"])


def test_progress_and_its_end(rng):
    logits = np.stack([drawn(rng) for _ in range(4)])
    told = []
    hccs.calibrate(samples_of([(0, logits)]), heads=2, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (4, 4) and told == sorted(told)
    samples = _many()
    with pytest.raises(hccs.Cancelled):
        hccs.calibrate(samples, heads=4, knees=4, threads=1, progress=lambda done, total: False)
    assert all(len(sample) == 2000 for sample in samples)  # they are whole again

    def fail(done, total):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        hccs.calibrate(samples, heads=4, knees=4, threads=1, progress=fail)
    with pytest.raises(TypeError, match="progress"):
        hccs.calibrate(samples, heads=2, progress=3)


def _many():
    rng = np.random.default_rng(1)
    samples = [hccs.RowSample() for _ in range(64)]
    for sample in samples:
        sample.add(0, drawn(rng, 2000, 64))
    return samples


def test_samples_are_not_shared_while_in_use(rng):
    samples = _many()
    started = threading.Event()
    errors = []

    def look(done, total):
        started.set()
        try:
            samples[0].rows()
        except ValueError as error:
            errors.append(str(error))
        return False

    with pytest.raises(hccs.Cancelled):
        hccs.calibrate(samples, heads=4, knees=4, threads=1, progress=look)
    assert errors == ["the sample is in use by another call"]
    with pytest.raises(ValueError, match="twice"):
        hccs.calibrate([samples[0]] * 2, heads=1, progress=False)
    assert len(samples[0]) == 2000


def test_control_c_stops_calibration():
    code = textwrap.dedent("""
        import signal, sys, numpy as np, hccs
        signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it for what runs in the background
        rng = np.random.default_rng(1)
        samples = [hccs.RowSample() for _ in range(500)]
        rows = rng.normal(0, 2, (2000, 64)).astype(np.float32)
        for sample in samples:
            sample.add(0, rows)
        try:
            print("ready", flush=True)
            hccs.calibrate(samples, heads=4, knees=4, threads=1, progress=False)
        except KeyboardInterrupt:
            print("stopped", len(samples[0]), flush=True)
    """)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=900)[0]
    assert rest == "stopped 2000\n"


@pytest.mark.parametrize(
    ("parts", "how"),
    [
        (["3 samples", "2 heads"], {"count": 3}),
        (["0 samples"], {"count": 0}),
        (["K", "5"], {"knees": 5}),
        (["wide", "native"], {"limits": "wide"}),
        (["step", "odd"], {"step": "odd"}),
        (["threads", "0"], {"threads": 0}),
        (["paper", "20"], {"limits": "paper", "length": 20, "knees": 1}),
    ],
)
def test_refusals(rng, parts, how):
    logits = np.stack([drawn(rng, 20) for _ in range(4)])
    how = {"count": 4, "knees": 1, **how}
    samples = samples_of([(0, logits)])[: how.pop("count")]
    with pytest.raises(ValueError) as raised:
        hccs.calibrate(samples, heads=2, progress=False, **how)
    for part in parts:
        assert part in str(raised.value)


def test_implausible_rows_and_unfit_heads(rng):
    samples = samples_of([(0, np.stack([drawn(rng)] * 2))], heads=2)
    masked = hccs.RowSample()
    x = drawn(rng)
    x[:, 5:] = -1e4
    masked.add(0, x)
    with pytest.raises(ValueError, match="layer 1, head 0"):
        hccs.calibrate([*samples, masked, samples_of([(0, drawn(rng)[None])], heads=1)[0]], heads=2, progress=False)
    empty = hccs.RowSample(100, 7)
    with pytest.raises(ValueError, match="layer 0, head 2"):
        hccs.calibrate([*samples, empty], heads=3, knees=1, progress=False)
    with pytest.warns(UserWarning, match="layer 0, head 2"):
        params = hccs.calibrate([*samples, empty], heads=3, knees=1, on_unfit="default", progress=False)
    assert params[0, 2].is_default and params.fits[2].unfit_reason


def test_encoder(tiny_model, tmp_path, program):
    folder, texts = tiny_model
    (tmp_path / "t.txt").write_text("".join(t + "\n" for t in texts))
    common = ("--model", folder, "--text", tmp_path / "t.txt")
    program("calibrate", *common, "--knees", 2, "-o", tmp_path / "p.json")
    program("embed", *common, "--params", tmp_path / "p.json", "-o", tmp_path / "hccs.npy")
    program("embed", *common, "-o", tmp_path / "float.npy")
    params = hccs.Params.load(tmp_path / "p.json")
    for name, encoder in (("float", hccs.Encoder(folder)), ("hccs", hccs.Encoder(str(folder), params))):
        told = []
        found = encoder.embed(texts, threads=2, progress=lambda done, total: told.append((done, total)))
        assert found.dtype == np.float32 and encoder.embedding_size == found.shape[1] and not encoder.integers
        np.testing.assert_array_equal(found, np.load(tmp_path / f"{name}.npy"))
        assert told[-1] == (len(texts), len(texts))
    program("quantise", *common, "--params", tmp_path / "p.json", "-o", tmp_path / "m.hccs")
    program("embed", "--model", tmp_path / "m.hccs", "--text", tmp_path / "t.txt", "-o", tmp_path / "integers.npy")
    integers = hccs.Encoder(tmp_path / "m.hccs")
    np.testing.assert_array_equal(integers.embed(texts), np.load(tmp_path / "integers.npy"))
    assert integers.integers and integers.labels == [] and integers.embed([]).shape[0] == 0
    with pytest.raises(ValueError, match="class"):
        integers.classify(texts)
    with pytest.raises(ValueError, match="parameters of its own"):
        hccs.Encoder(tmp_path / "m.hccs", params)
    with pytest.raises(FileNotFoundError, match="absent"):
        hccs.Encoder(tmp_path / "absent")
    with pytest.raises(ValueError, match="needs params"):
        hccs.Encoder(folder, softmax="hccs")
    other = hccs.Params("another", 1, 1, [params[0, 0]])
    with pytest.raises(ValueError, match="layers"):
        hccs.Encoder(folder, other)


def test_parts_of_the_program_are_parts_here(tiny_model, tmp_path, program):
    folder, texts = tiny_model
    for name, part in (("a", texts[:25]), ("b", texts[25:]), ("all", texts)):
        (tmp_path / name).write_text("".join(t + "\n" for t in part))
    for name, first in (("a", 0), ("b", 25), ("all", 0)):
        program(
            "calibrate",
            "--model",
            folder,
            "--text",
            tmp_path / name,
            "--first",
            first,
            "--save-rows",
            tmp_path / f"{name}.rows",
        )
    samples, heads = hccs.load_rows([tmp_path / "a.rows", tmp_path / "b.rows"])
    whole, _ = hccs.load_rows([tmp_path / "all.rows"])
    a, b = (hccs.calibrate(s, heads=heads, knees=1, implausible="report", progress=False) for s in (samples, whole))
    assert a == b and os.path.getsize(tmp_path / "a.rows") > 0
