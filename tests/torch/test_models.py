# SPDX-License-Identifier: Apache-2.0
"""hccs.torch in models of transformers: random weights, every kind of attention that is supported or refused."""

import warnings

import numpy as np
import pytest
import torch
import transformers
from transformers import (
    BartConfig,
    BartModel,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
)
from transformers import MistralConfig, MistralForCausalLM, ViTConfig, ViTModel

import hccs
import hccs.torch
import hccs.torch._attention

transformers.logging.set_verbosity_error()
pytestmark = pytest.mark.filterwarnings("ignore:layer", "ignore:rows lie far")  # random weights give odd rows
HOW = {"implausible": "report", "progress": False, "threads": 2}


def grown(model, factor=3.0):
    """Random weights that attend to something."""
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() > 1:
                p.mul_(factor)
    return model.eval()


def bert(**more):
    torch.manual_seed(1)
    return grown(
        BertModel(
            BertConfig(
                vocab_size=100,
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=4,
                intermediate_size=64,
                max_position_embeddings=64,
                **more,
            )
        )
    )


def llama(kind=LlamaForCausalLM, config=LlamaConfig, **more):
    torch.manual_seed(1)
    return grown(
        kind(
            config(
                vocab_size=100,
                hidden_size=64,
                num_hidden_layers=2,
                num_attention_heads=8,
                num_key_value_heads=2,
                intermediate_size=128,
                max_position_embeddings=128,
                **more,
            )
        )
    )


def tokens(count=4, length=24, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(1, 100, (count, length)))


def padded(seed=0, left=False):
    ids, mask = tokens(seed=seed), torch.ones(4, 24, dtype=torch.long)
    for i, n in enumerate((24, 9, 3, 17)):
        part = slice(0, 24 - n) if left else slice(n, 24)
        ids[i, part], mask[i, part] = 0, 0
    return {"input_ids": ids, "attention_mask": mask}


def close(a, b, most):
    assert float((a - b).norm() / b.norm()) < most


def test_padding_changes_nothing():
    model = bert()
    exact = model(**padded(9)).last_hidden_state
    params = hccs.torch.calibrate(model, [padded(s) for s in range(8)], **HOW)
    assert (params.layers, params.heads, params.head_dimension, params.model, params.knees) == (2, 4, 8, "BertModel", 3)
    assert model.config._attn_implementation == "sdpa" and not hasattr(
        model.encoder.layer[0].attention.self, "hccs_softmax"
    )
    assert hccs.torch.apply(model, params) is model
    found = model(**padded(9)).last_hidden_state
    alone = model(input_ids=padded(9)["input_ids"][1:2, :9]).last_hidden_state
    torch.testing.assert_close(found[1, :9], alone[0], rtol=0, atol=2e-2)
    close(found[1, :9], exact[1, :9], 0.2)
    p = model(**padded(9), output_attentions=True).attentions[0]
    if p is not None:
        assert not p[1, :, :, 9:].any() and torch.equal(p * 255, (p * 255).round())
    hccs.torch.remove(model)
    torch.testing.assert_close(model(**padded(9)).last_hidden_state, exact, rtol=0, atol=0)
    hccs.torch.remove(model)  # harmless


def test_attention_is_the_contract(rng):
    """One module's probabilities against Plan, from the logits that it has."""
    model = bert()
    params = hccs.torch.calibrate(model, [padded(s) for s in range(8)], **HOW)
    for output_type, full in (("uint8", 255), ("int16", 32767)):
        hccs.torch.apply(model, params, output_type=output_type)
        module = model.encoder.layer[0].attention.self
        seen = {}
        module.hccs_softmax.register_forward_hook(lambda m, args, p: seen.update(logits=args[0], mask=args[1], p=p))
        with torch.no_grad():
            model(**padded(5))
        x = hccs.quantise_logits(seen["logits"].numpy(), [params[0, h].step for h in range(4)])
        expected = hccs.Plan(params.layer(0), output_type=output_type)(x, mask=seen["mask"].numpy())
        np.testing.assert_array_equal((seen["p"] * full).round().numpy(), expected)
        hccs.torch.remove(model)


def far_bert():
    """Rows that lie 50 and more from 0, each elsewhere: biases of queries and keys that agree put q . k up by a
    constant of the row."""
    model = bert()
    with torch.no_grad():
        for layer in model.encoder.layer:
            layer.attention.self.query.bias.fill_(8.0)
            layer.attention.self.key.bias.fill_(8.0)
    return model


def test_rows_far_from_zero(rng):
    """centre=True: what the same model without these biases has; without it a warning, and a step too coarse."""
    model = far_bert()
    batches = [padded(s) for s in range(8)]
    samples, _, _ = hccs.torch.sample(model, batches)
    assert min(float(row.min()) for s in samples for _, row in s.rows()) > 50
    with pytest.warns(UserWarning, match="centre=True"):
        plain = hccs.torch.calibrate(model, batches, **HOW)
    params = hccs.torch.calibrate(model, batches, centre=True, **HOW)
    samples, _, _ = hccs.torch.sample(model, batches, centre=True)
    assert all(float(row.max()) == 0 for s in samples for _, row in s.rows())
    exact, errors = model(**padded(9)).last_hidden_state.detach(), {}
    for name, how, of in (("plain", {}, plain), ("centred", {"centre": True}, params)):
        hccs.torch.apply(model, of, output_type="int16", **how)
        found = model(**padded(9)).last_hidden_state.detach()
        errors[name] = float((found[1, :9] - exact[1, :9]).norm() / exact[1, :9].norm())
        hccs.torch.remove(model)
        errors[name, "kl"] = hccs.torch.report(
            model, of, [padded(20)], implausible="report", progress=False, **how
        ).kl_mean
    assert errors["centred"] < errors["plain"] / 2 and errors["centred", "kl"] < errors["plain", "kl"] / 2, errors
    steps = [max(p[layer, h].step for layer in range(2) for h in range(4)) for p in (params, plain)]
    assert steps[0] < steps[1] / 2


def test_centred_attention_is_the_contract():
    """Bit for bit what Plan makes of logits less their valid maximum; also by other methods, traced and learnable."""
    model = far_bert()
    params = hccs.torch.calibrate(model, [padded(s) for s in range(8)], centre=True, **HOW)
    hccs.torch.apply(model, params, centre=True)
    seen = {}
    module = model.encoder.layer[0].attention.self
    module.hccs_softmax.register_forward_hook(lambda m, args, p: seen.update(logits=args[0], mask=args[1], p=p))
    with torch.no_grad():
        expected = model(**padded(5)).last_hidden_state
        logits, mask = seen["logits"].numpy(), seen["mask"].numpy()
        top = np.where(mask, logits, -np.inf).max(-1, keepdims=True)
        x = hccs.quantise_logits(logits - top, [params[0, h].step for h in range(4)])
        np.testing.assert_array_equal((seen["p"] * 255).round().numpy(), hccs.Plan(params.layer(0))(x, mask=mask))
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(**padded(5)).last_hidden_state, expected, rtol=0, atol=1e-3)
        hccs.torch.remove(model)
        hccs.torch.apply(model, params, centre=True, learnable=True)
        torch.testing.assert_close(model(**padded(5)).last_hidden_state, expected, rtol=0, atol=1e-6)
        hccs.torch.remove(model)
        exact = model(**padded(5)).last_hidden_state
        hccs.torch.apply(model, params, method="exact-int8", centre=True)
        close(model(**padded(5)).last_hidden_state[0], exact[0], 0.1)


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_decoders(kind):
    model = llama() if kind == "llama" else llama(MistralForCausalLM, MistralConfig, sliding_window=6)
    exact = model(input_ids=tokens(seed=7)).logits
    params = hccs.torch.calibrate(model, [{"input_ids": tokens(seed=s)} for s in range(6)], **HOW)
    assert (params.layers, params.heads, params.head_dimension) == (2, 8, 8)
    hccs.torch.apply(model, params)
    whole = model(input_ids=tokens(seed=7)).logits
    close(whole, exact, 0.3)
    torch.testing.assert_close(
        model(input_ids=tokens(seed=7)[:, :11]).logits, whole[:, :11], rtol=0, atol=5e-2
    )  # causal
    changed = tokens(seed=7)
    changed[:, 0] = (changed[:, 0] + 1) % 100
    if kind == "mistral":  # two layers of a window of 6 see at most 10 positions back
        torch.testing.assert_close(model(input_ids=changed).logits[:, 12:], whole[:, 12:], rtol=0, atol=5e-2)
    for cache in (None, "static"):
        more = {"cache_implementation": cache} if cache else {}
        grown_text = model.generate(tokens(1, 8, seed=7), max_new_tokens=8, do_sample=False, pad_token_id=0, **more)
        again = tokens(1, 8, seed=7)
        for _ in range(8):
            again = torch.cat([again, model(input_ids=again).logits[:, -1:].argmax(-1)], 1)
        assert grown_text.tolist() == again.tolist()
    batch = model.generate(**padded(3, left=True), max_new_tokens=3, do_sample=False, pad_token_id=0)
    alone = model.generate(
        padded(3, left=True)["input_ids"][1:2, -9:], max_new_tokens=3, do_sample=False, pad_token_id=0
    )
    assert batch[1, -3:].tolist() == alone[0, -3:].tolist()


def test_vision():
    torch.manual_seed(1)
    model = grown(
        ViTModel(
            ViTConfig(
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=4,
                intermediate_size=64,
                image_size=32,
                patch_size=8,
            )
        )
    )
    pictures = [{"pixel_values": torch.randn(4, 3, 32, 32)} for _ in range(6)]
    exact = model(**pictures[0]).last_hidden_state
    params = hccs.torch.calibrate(model, pictures[1:], **HOW)
    hccs.torch.apply(model, params)
    close(model(**pictures[0]).last_hidden_state, exact, 0.2)


def test_cross_attention():
    torch.manual_seed(1)
    model = grown(
        BartModel(
            BartConfig(
                vocab_size=100,
                d_model=32,
                encoder_layers=1,
                decoder_layers=1,
                encoder_attention_heads=4,
                decoder_attention_heads=4,
                encoder_ffn_dim=64,
                decoder_ffn_dim=64,
                max_position_embeddings=64,
                pad_token_id=0,
            )
        ),
        8.0,
    )
    batches = [{**padded(s), "decoder_input_ids": tokens(4, 7, seed=s + 50)} for s in range(8)]
    exact = model(**batches[0]).last_hidden_state
    names = [n for n, _ in hccs.torch.attention_modules(model)]
    assert len(names) == 3 and any("encoder_attn" in n for n in names)
    params = hccs.torch.calibrate(model, batches[1:], **HOW)
    hccs.torch.apply(model, params)
    close(model(**batches[0]).last_hidden_state, exact, 0.4)
    other = {**batches[0], "input_ids": batches[0]["input_ids"].clone()}
    other["input_ids"][1, 9:] = 55  # padding of the encoder
    torch.testing.assert_close(
        model(**other).last_hidden_state, model(**batches[0]).last_hidden_state, rtol=0, atol=1e-5
    )


def test_masked_positions_and_padding_never_enter_calibration():
    model = bert()
    samples, heads, _ = hccs.torch.sample(model, [padded(0)])
    assert heads == 4
    for sample in samples:
        found = {}
        for number, row in sample.rows():
            found.setdefault(number >> 16, []).append((number & 0xFFFF, len(row)))
        assert {text: sorted({n for _, n in rows}) for text, rows in found.items()} == {
            0: [24],
            1: [9],
            2: [3],
            3: [17],
        }
        assert all(q < n for rows in found.values() for q, n in rows) and sorted(map(len, found.values())) == [
            3,
            4,
            4,
            4,
        ]
    causal, _, _ = hccs.torch.sample(llama(), [{"input_ids": tokens(2)}])
    assert all(len(row) == (number & 0xFFFF) + 1 for number, row in causal[0].rows())


def test_a_batch_is_its_texts():
    model = bert().double()
    one, _, _ = hccs.torch.sample(model, [padded(0)])
    parts, _, _ = hccs.torch.sample(model, [{k: v[i : i + 1] for k, v in padded(0).items()} for i in range(4)])
    for a, b in zip(one, parts):
        assert [i for i, _ in a.rows()] == [i for i, _ in b.rows()]
        for (_, x), (_, y) in zip(a.rows(), b.rows()):
            np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-6)


def test_training_and_what_it_learns():
    torch.manual_seed(1)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=100,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=64,
            num_labels=2,
        )
    )
    params = hccs.torch.calibrate(model, [padded(s) for s in range(4)], knees=1, **HOW)
    hccs.torch.apply(model, params, learnable=True)
    assert any("hccs_softmax.log_step" in n for n, _ in model.named_parameters())
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for step in range(60):
        batch = padded(step % 8)
        loss = model(**batch, labels=(batch["input_ids"][:, 0] > 50).long()).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-8:]) < np.mean(losses[:8]) * 0.8
    learnt = hccs.torch.params_of(model)
    assert learnt != params and learnt.layers == 1 and learnt[0, 0].rows == params[0, 0].rows
    model.eval()
    with torch.no_grad():
        trained = model(**padded(3)).logits
        hccs.torch.remove(model)
        hccs.torch.apply(model, learnt)
        torch.testing.assert_close(model(**padded(3)).logits, trained, rtol=0, atol=1e-6)
    assert not any("hccs" in n for n in model.state_dict())


def test_trainer(tmp_path):
    pytest.importorskip("accelerate")
    from transformers import Trainer, TrainingArguments

    torch.manual_seed(1)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=100,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=64,
            num_labels=2,
        )
    )
    data = [
        {"input_ids": t, "attention_mask": torch.ones_like(t), "labels": int(t[0] > 50)}
        for s in range(64)
        for t in tokens(4, 12, seed=s)
    ]
    hccs.torch.apply(
        model, hccs.torch.calibrate(model, [{"input_ids": tokens(seed=s)} for s in range(4)], knees=1, **HOW)
    )
    arguments = TrainingArguments(
        str(tmp_path),
        max_steps=60,
        per_device_train_batch_size=16,
        learning_rate=3e-3,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    Trainer(model=model, args=arguments, train_dataset=data).train()
    model.eval()
    with torch.no_grad():
        right = sum(int(model(input_ids=d["input_ids"][None]).logits.argmax()) == d["labels"] for d in data[-64:])
    assert right > 48, right


def test_compile():
    model = bert()
    params = hccs.torch.calibrate(model, [padded(s) for s in range(8)], **HOW)
    hccs.torch.apply(model, params)
    with torch.no_grad():
        expected = model(**padded(5)).last_hidden_state
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(**padded(5)).last_hidden_state, expected, rtol=0, atol=1e-3)


def test_rivals_in_a_model():
    model = bert()
    exact = model(**padded(9)).last_hidden_state
    params = hccs.torch.calibrate(model, [padded(s) for s in range(8)], **HOW)
    errors = {}
    for method in hccs.torch.METHODS:
        hccs.torch.apply(model, params, method=method)
        found = model(**padded(9)).last_hidden_state
        errors[method] = float((found[0] - exact[0]).norm() / exact[0].norm())
        found.sum().backward()
        hccs.torch.remove(model)
    assert errors["exact-int8"] < 0.1 and all(e < 0.6 for e in errors.values()), errors


def test_report():
    model = bert()
    params = hccs.torch.calibrate(model, [padded(s) for s in range(8)], **HOW)
    report = hccs.torch.report(model, params, [padded(s) for s in range(20, 24)], implausible="report", progress=False)
    assert len(report.heads) == 8 and report.worst(1)[0].kl_mean == max(h.kl_mean for h in report.heads)
    assert "8 heads" in str(report) and 0 < report.kl_mean < 0.2
    frame = report.dataframe()
    assert len(frame) == 8 and frame["kl_mean"].mean() == pytest.approx(report.kl_mean)
    assert [tuple(r) for r in frame[["layer", "head", "rows"]].to_numpy()] == [
        (h.layer, h.head, h.rows) for h in report.heads
    ]
    figure = report.plot(count=3)
    worst = report.worst(3)
    assert [a.get_title() for a in figure.axes] == [
        f"layer {h.layer}, head {h.head}: KL {h.kl_mean:.3f}" for h in worst
    ]
    drawn = np.concatenate([np.stack(line.get_data(), 1) for line in figure.axes[0].lines[:-1]])
    # The head's points: each is a float probability and its integer, which its largest error bounds.
    assert len(drawn) > 100 and np.abs(drawn[:, 0] - drawn[:, 1]).max() <= worst[0].largest_error + 1e-6
    with pytest.raises(ValueError, match="2 layers of 4 heads"):
        hccs.torch.report(model, hccs.Params("m", 1, 4, params.entries[:4]), [padded(0)])


# ---- Refusals -------------------------------------------------------------------------------------------------------


def test_refused_by_name():
    from transformers import (
        Gemma2Config,
        Gemma2ForCausalLM,
        GptOssConfig,
        GptOssForCausalLM,
        MPNetConfig,
        MPNetModel,
        T5Config,
        T5Model,
    )

    small = dict(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        head_dim=8,
    )
    gemma = Gemma2ForCausalLM(Gemma2Config(**small))
    with pytest.raises(ValueError, match="layers.0.self_attn: softcap"):
        hccs.torch.calibrate(gemma, [{"input_ids": tokens()}])
    assert gemma.config._attn_implementation != "hccs"  # it is as before
    gpt = GptOssForCausalLM(GptOssConfig(**small, num_local_experts=2, num_experts_per_tok=1))
    with pytest.raises(ValueError, match="layers.0.self_attn: attention sinks"):
        hccs.torch.calibrate(gpt, [{"input_ids": tokens()}])
    t5 = T5Model(T5Config(vocab_size=100, d_model=32, d_kv=8, d_ff=64, num_layers=1, num_heads=4))
    with pytest.raises(ValueError, match="SelfAttention: a position bias"):
        hccs.torch.calibrate(t5, [{"input_ids": tokens(), "decoder_input_ids": tokens()}])
    mpnet = MPNetModel(
        MPNetConfig(vocab_size=100, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64)
    )
    for call in (
        lambda: hccs.torch.calibrate(mpnet, [{"input_ids": tokens()}]),
        lambda: hccs.torch.apply(torch.nn.Linear(2, 2), None),
    ):
        with pytest.raises(ValueError, match="(MPNetModel|Linear): its attention does not go through"):
            call()
    with pytest.raises(ValueError, match="never computed"):
        hccs.torch.calibrate(bert(), [])


def test_wrong_parameters():
    model = bert()
    entry = hccs.HeadEntry(hccs.HeadParams(300, [(2, 100)]), 0.1)
    with pytest.raises(ValueError, match="2 attention modules.*3 layers"):
        hccs.torch.apply(model, hccs.Params("m", 3, 4, [entry] * 12))
    hccs.torch.apply(model, hccs.Params("m", 2, 3, [entry] * 6))
    with pytest.raises(ValueError, match="3 heads"):
        model(**padded(0))
    with pytest.raises(ValueError, match="remove"):
        hccs.torch.calibrate(model, [padded(0)])
    hccs.torch.remove(model)
    for how, part in (
        ({"method": "magic"}, "magic.*i-bert"),
        ({"method": "i-bert", "learnable": True}, "nothing to learn"),
    ):
        with pytest.raises(ValueError, match=part):
            hccs.torch.apply(model, hccs.Params("m", 2, 4, [entry] * 8), **how)
    with pytest.raises(TypeError, match="Params"):
        hccs.torch.apply(model, [entry])
    for sequence, told in ((109, False), (110, True)):
        longer = hccs.Params("m", 2, 4, [entry] * 8, sequence_length=sequence)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            hccs.torch.apply(model, longer, normalisation="div", output_type="int16")
            hccs.torch.remove(model)
        assert ["more than 109 may get 0" in str(w.message) for w in found] == [True] * told
    with pytest.raises(ValueError, match="has no HCCS"):
        hccs.torch.params_of(model)
