# SPDX-License-Identifier: Apache-2.0
"""Model folders of every kind, against BERT and sentence-transformers' modules written out in NumPy:
folder_test.py PATH_OF_HCCS [unittest options]."""
import json
import math
import pathlib
import shutil
import tempfile
import unittest

import numpy as np
from tokenizers import AddedToken, BertWordPieceTokenizer, Tokenizer

import tiny_model
from cli_case import HAS_TRAINER, CliCase, hccs, needs_trainer

HIDDEN, HEADS, LAYERS = tiny_model.HIDDEN, tiny_model.HEADS, tiny_model.LAYERS
WEIGHTS = tiny_model.tensors(np.random.default_rng(3))
TEXTS = ["the plant grows", "a small house", "The LARGE animal eats which house of a person", "state"]


def unit(x):
    return x / np.linalg.norm(x)


def last_layer(ids, types=None, weights=WEIGHTS):
    """The hidden states of the last layer, [tokens, HIDDEN], in float64."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}

    def norm(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * w[name + ".weight"] + w[name + ".bias"]

    def linear(x, name):
        return x @ w[name + ".weight"].T + w[name + ".bias"]

    words, positions = w["embeddings.word_embeddings.weight"], w["embeddings.position_embeddings.weight"]
    kinds = w["embeddings.token_type_embeddings.weight"]
    x = norm(words[ids] + positions[: len(ids)] + kinds[types or [0] * len(ids)], "embeddings.LayerNorm")
    for layer in range(LAYERS):
        p = f"encoder.layer.{layer}."
        q, k, v = (np.split(linear(x, p + "attention.self." + n), HEADS, 1) for n in ("query", "key", "value"))
        context = []
        for head in range(HEADS):
            a = q[head] @ k[head].T / math.sqrt(HIDDEN // HEADS)
            a = np.exp(a - a.max(-1, keepdims=True))
            context.append(a / a.sum(-1, keepdims=True) @ v[head])
        context = np.concatenate(context, 1)
        x = norm(x + linear(context, p + "attention.output.dense"), p + "attention.output.LayerNorm")
        inner = linear(x, p + "intermediate.dense")
        inner = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        x = norm(x + linear(inner, p + "output.dense"), p + "output.LayerNorm")
    return x


# What sentence-transformers' Pooling computes for one text without padding; `skip` tokens are the prompt's.
POOLINGS = {
    "cls": lambda x, skip: x[0],
    "max": lambda x, skip: x[skip:].max(0),
    "mean": lambda x, skip: x[skip:].mean(0),
    "mean_sqrt_len_tokens": lambda x, skip: x[skip:].sum(0) / math.sqrt(len(x) - skip),
    "weightedmean": lambda x, skip: np.average(x[skip:], axis=0, weights=np.arange(skip, len(x)) + 1),
    "lasttoken": lambda x, skip: x[-1],
}
BOOLEANS = {
    "cls": "pooling_mode_cls_token", "max": "pooling_mode_max_tokens", "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens", "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}  # fmt: skip
MODULE = "sentence_transformers.models."


def modules(*rest, transformer=""):
    """modules.json of a Transformer and (class, path) pairs."""
    return [{"idx": i, "name": str(i), "path": path, "type": MODULE + kind}
            for i, (kind, path) in enumerate([("Transformer", transformer), *rest])]


def put(folder, name, content):
    path = pathlib.Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def read_weights(path):
    """float32 tensors, without the prefix of task models."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    header.pop("__metadata__", None)
    return {name.removeprefix("bert."): np.frombuffer(data[slice(*t["data_offsets"])], "<f4").reshape(t["shape"])
            for name, t in header.items()}


class Folder(CliCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="hccs-folder-"))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def model(self, name="m", files=None, weights=None, drop=(), **config):
        folder = tiny_model.write_model(self.work / name, **config)
        for key in drop:
            settings = json.loads((folder / "config.json").read_text())
            settings.pop(key)
            put(folder, "config.json", settings)
        if weights is not None:
            put(folder, "model.safetensors", tiny_model.safetensors_bytes(weights))
        for file, content in (files or {}).items():
            put(folder, file, content)
        return folder

    def classifier(self, name="m", labels=2, **config):
        rng = np.random.default_rng(7)

        def draw(*shape):
            return rng.normal(0, 0.7, shape).astype(np.float32)

        head = {"pooler.dense.weight": draw(HIDDEN, HIDDEN), "pooler.dense.bias": draw(HIDDEN),
                "classifier.weight": draw(labels, HIDDEN), "classifier.bias": draw(labels)}  # fmt: skip
        config = {"architectures": ["BertForSequenceClassification"], "id2label": {str(i): f"c{i}" for i in range(labels)}, **config}
        return self.model(name, weights={**WEIGHTS, **head}, **config), head

    def embed(self, folder, texts=TEXTS, *options):
        text = put(self.work, "t.txt", "".join(t + "\n" for t in texts))
        self.succeeds("embed", "--model", folder, "--text", text, "-o", self.work / "e.npy", "--threads", 1, *options)
        return np.load(self.work / "e.npy")

    def embed_refused(self, folder, *parts):
        text = put(self.work, "t.txt", "the plant\n")
        out = self.work / "refused.npy"
        self.refused(hccs("embed", "--model", folder, "--text", text, "-o", out), *parts)
        self.assertFalse(out.exists())

    def calibrated(self, folder, *options):
        text = put(self.work, "c.txt", "".join(t + "\n" for t in tiny_model.sentences(30)))
        out = self.work / f"params{len(list(self.work.iterdir()))}.json"
        self.succeeds("calibrate", "--model", folder, "--text", text, "-o", out, "--knees", 1, *options)
        return out

    @staticmethod
    def ids(folder, text, lowercase=True, **options):
        tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=lowercase, **options)
        return tokenizer.encode(text).ids

    def assert_embeds(self, found, expected):
        expected = np.array([unit(e) for e in expected])
        self.assertEqual(found.shape, expected.shape)
        self.assertLess(np.abs(found - expected).max(), 2e-5)

    # ---- The tokeniser ------------------------------------------------------------------------

    def test_added_tokens_are_tokens(self):
        texts = ["[ENT]plant[ENT] grows [REL] house", "the small house", "Kobold kobolds", "state [rel]"]
        n = 5 + len(tiny_model.WORDS)
        rng = np.random.default_rng(1)
        words = np.concatenate([WEIGHTS["embeddings.word_embeddings.weight"], rng.normal(0, 0.5, (3, HIDDEN)).astype(np.float32)])
        weights = {**WEIGHTS, "embeddings.word_embeddings.weight": words}
        plain = self.model("plain")
        tokenizer = BertWordPieceTokenizer(str(plain / "vocab.txt"), lowercase=True)
        tokenizer.add_special_tokens([AddedToken("[ENT]", special=True)])
        tokenizer.add_tokens([AddedToken("[REL]"), AddedToken("kobold", single_word=True)])
        saved = self.work / "tokenizer.json"
        tokenizer.save(str(saved))
        added = json.loads(saved.read_text())["added_tokens"]
        decoder = {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in added}
        descriptions = {
            "json": {"tokenizer.json": saved.read_text()},
            "config": {"tokenizer_config.json": {"do_lower_case": True, "added_tokens_decoder": decoder}},
            "all": {"tokenizer.json": saved.read_text(), "tokenizer_config.json": {"added_tokens_decoder": decoder},
                    "added_tokens.json": {"[ENT]": n, "[REL]": n + 1, "kobold": n + 2},
                    "special_tokens_map.json": {"additional_special_tokens": ["[ENT]"], "cls_token": "[CLS]"}},
        }  # fmt: skip
        expected = [last_layer(tokenizer.encode(t).ids, weights=weights).mean(0) for t in texts]
        for name, files in descriptions.items():
            with self.subTest(name):
                folder = self.model(name, files, weights, vocab_size=n + 3)
                self.assert_embeds(self.embed(folder, texts), expected)
        (self.work / "json" / "vocab.txt").unlink()  # tokenizer.json alone
        self.assert_embeds(self.embed(self.work / "json", texts), expected)
        self.embed_refused(self.model("few", descriptions["all"]), f"{n + 3} tokens", f"vocab_size {n}")

    @needs_trainer
    def test_training_carries_the_description_over(self):
        n = 5 + len(tiny_model.WORDS)
        words = np.concatenate([WEIGHTS["embeddings.word_embeddings.weight"], np.full((1, HIDDEN), 0.3, np.float32)])
        plain = self.model("plain")
        tokenizer = BertWordPieceTokenizer(str(plain / "vocab.txt"), lowercase=True)
        tokenizer.add_tokens(["[ENT]"])
        tokenizer.save(str(self.work / "tokenizer.json"))
        files = {"tokenizer.json": (self.work / "tokenizer.json").read_text(), "added_tokens.json": {"[ENT]": n},
                 "special_tokens_map.json": {"additional_special_tokens": ["[ENT]"]},
                 "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "model_max_length": 31, "kept": 1},
                 "sentence_bert_config.json": {"max_seq_length": 9}}  # fmt: skip
        st = self.work / "st"
        self.model("st/0_Transformer", files, {**WEIGHTS, "embeddings.word_embeddings.weight": words}, vocab_size=n + 1)
        put(st, "modules.json", modules(("Pooling", "1_Pooling"), transformer="0_Transformer"))
        put(st, "1_Pooling/config.json", {"pooling_mode": "cls"})
        put(st, "config_sentence_transformers.json", {"prompts": {"q": "the "}, "default_prompt_name": "q"})
        task = put(self.work, "task.tsv", "".join(f"{i % 2}\t{'plant [ENT]' if i % 2 else 'house'} grows\n" for i in range(20)))
        out = self.work / "trained"
        self.succeeds("train", "--train", task, "--dev", task, "--model", st, "--epochs", 1, "--batch", 8, "--max-length", 12, "-o", out)
        for name in files:
            if name != "tokenizer_config.json":
                self.assertEqual((out / name).read_bytes(), (st / "0_Transformer" / name).read_bytes(), name)
        for name in ("1_Pooling/config.json", "config_sentence_transformers.json"):
            self.assertEqual((out / name).read_bytes(), (st / name).read_bytes())
        self.assertEqual(json.loads((out / "tokenizer_config.json").read_text()), {**files["tokenizer_config.json"], "model_max_length": 12})
        self.assertEqual([m["path"] for m in json.loads((out / "modules.json").read_text())], ["", "1_Pooling"])
        self.assertEqual(json.loads((out / "config.json").read_text())["vocab_size"], n + 1)
        report = json.loads((out / "training.json").read_text())
        self.succeeds("evaluate", "--model", out, "--task", task, "--json", self.work / "e.json")
        row = json.loads((self.work / "e.json").read_text())["rows"][0]
        self.assertEqual(row["accuracy"], report["accuracy"][row["set"] if row["set"] in report["accuracy"] else "dev"])
        # The pooling came along as well.
        trained = Tokenizer.from_file(str(out / "tokenizer.json"))
        with_prompt = trained.encode("the plant [ENT]").ids
        weights = read_weights(out / "model.safetensors")
        self.assert_embeds(self.embed(out, ["plant [ENT]"]), [last_layer(with_prompt, weights=weights)[0]])

    def test_mecab_is_refused_wherever_it_is_said(self):
        words = {"word_tokenizer_type": "mecab", "mecab_kwargs": {"mecab_dic": "ipadic"}}
        cases = {
            "config": (dict(tokenizer_class="BertJapaneseTokenizer"), {}),
            "config-words": (words, {}),
            "tokenizer_config": ({}, {"tokenizer_class": "BertJapaneseTokenizer", **words}),
            "tokenizer_config-words": ({}, words),
            "kwargs": ({}, {"mecab_kwargs": {"mecab_dic": "ipadic"}}),
            "sudachi": ({}, {"word_tokenizer_type": "sudachi"}),
            "characters": ({}, {"subword_tokenizer_type": "character"}),
        }
        for name, (config, tokenizer_config) in cases.items():
            with self.subTest(name):
                folder = self.model(name, {"tokenizer_config.json": tokenizer_config}, **config)
                key, value = next(iter((config or tokenizer_config).items()))
                file = "config.json" if config else "tokenizer_config.json"
                self.embed_refused(folder, file, key, value if isinstance(value, str) else "ipadic")

    def test_lower_case_wherever_it_is_said(self):
        vocabulary = "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *tiny_model.WORDS]) + "\n"
        vocabulary = vocabulary.replace("\nact\n", "\nThe\n").replace("\ntime\n", "\ncafé\n")
        texts = ["The the THE", "café CAFÉ the", "Plant"]
        cased = {"vocab.txt": vocabulary, "tokenizer_config.json": {"do_lower_case": False}}
        folder = self.model("cased", cased)
        self.assert_embeds(self.embed(folder, texts), [last_layer(self.ids(folder, t, False)).mean(0) for t in texts])
        # sentence-transformers' own lower case comes before the tokeniser, which then keeps accents.
        folder = self.model("st", {**cased, "sentence_bert_config.json": {"do_lower_case": True}})
        self.assert_embeds(self.embed(folder, texts), [last_layer(self.ids(folder, t.lower(), False)).mean(0) for t in texts])
        folder = self.model("accents", {**cased, "tokenizer_config.json": {"strip_accents": False}})
        expected = [last_layer(self.ids(folder, t, True, strip_accents=False)).mean(0) for t in texts]
        self.assert_embeds(self.embed(folder, texts), expected)
        tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=False)
        tokenizer.save(str(self.work / "tokenizer.json"))
        saved = (self.work / "tokenizer.json").read_text()
        folder = self.model("json", {"vocab.txt": vocabulary, "tokenizer.json": saved})
        self.assert_embeds(self.embed(folder, texts), [last_layer(tokenizer.encode(t).ids).mean(0) for t in texts])
        folder = self.model("both", {**cased, "tokenizer.json": saved, "tokenizer_config.json": {"do_lower_case": True}})
        self.embed_refused(folder, "tokenizer_config.json: do_lower_case is true", "tokenizer.json: normalizer: lowercase is false")

    # ---- Sentence embeddings ------------------------------------------------------------------

    def test_every_pooling_in_its_old_and_new_form(self):
        for i, (name, pool) in enumerate(POOLINGS.items()):
            old = {BOOLEANS[n]: n == name for n in POOLINGS}
            new = {"embedding_dimension": HIDDEN, "pooling_mode": name, "include_prompt": True}
            for form, config in (("old", old), ("new", new)):
                with self.subTest(name, form=form):
                    # With and without a modules.json, under its usual name and another.
                    path = "1_Pooling" if form == "old" else "pool/of/mine"
                    files = {f"{path}/config.json": config}
                    if form == "new" or i % 2:
                        files["modules.json"] = modules(("Pooling", path))
                    folder = self.model(f"{name}-{form}", files)
                    expected = [pool(last_layer(self.ids(folder, t)), 0) for t in TEXTS]
                    self.assert_embeds(self.embed(folder), expected)
                    if form == "old":
                        self.calibrated(folder)

    def test_several_poolings_stand_one_after_another(self):
        order = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
        files = {"1_Pooling/config.json": {BOOLEANS[n]: True for n in order if n != "mean"}}  # the mean is there unless it is false
        folder = self.model("all", files)
        expected = [np.concatenate([POOLINGS[n](last_layer(self.ids(folder, t)), 0) for n in order]) for t in TEXTS]
        self.assert_embeds(self.embed(folder), expected)
        folder = self.model("two", {"1_Pooling/config.json": {"pooling_mode": ["mean", "cls"]}})
        expected = [np.concatenate([POOLINGS[n](last_layer(self.ids(folder, t)), 0) for n in ("mean", "cls")]) for t in TEXTS]
        self.assert_embeds(self.embed(folder), expected)

    def test_dense_and_normalize(self):
        rng = np.random.default_rng(2)
        a, b, c = (rng.normal(0, 1, s).astype(np.float32) for s in ((7, 2 * HIDDEN), 7, (5, 7)))
        activation = "torch.nn.modules.activation."
        files = {
            "modules.json": modules(("Pooling", "1_Pooling"), ("Dense", "2_Dense"), ("Dropout", "3_Dropout"),
                                    ("Normalize", "4_Normalize"), ("Dense", "5_Dense")),
            "1_Pooling/config.json": {"pooling_mode_max_tokens": True},
            "2_Dense/config.json": {"in_features": 2 * HIDDEN, "out_features": 7, "bias": True, "activation_function": activation + "Tanh"},
            "2_Dense/model.safetensors": tiny_model.safetensors_bytes({"linear.weight": a, "linear.bias": b}),
            "5_Dense/config.json": {"in_features": 7, "out_features": 5, "bias": False, "activation_function": "torch.nn.modules.linear.Identity"},
            "5_Dense/model.safetensors": tiny_model.safetensors_bytes({"linear.weight": c}),
        }  # fmt: skip
        folder = self.model("dense", files)

        def pooled(text):
            x = last_layer(self.ids(folder, text))
            return np.concatenate([x.max(0), x.mean(0)])

        self.assert_embeds(self.embed(folder), [c @ unit(np.tanh(a @ pooled(t) + b)) for t in TEXTS])
        for name, function in (("ReLU", lambda x: np.maximum(x, 0)), ("Sigmoid", lambda x: 1 / (1 + np.exp(-x))),
                               ("GELU", lambda x: x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))))):  # fmt: skip
            files["2_Dense/config.json"]["activation_function"] = activation + name
            put(folder, "2_Dense/config.json", files["2_Dense/config.json"])
            self.assert_embeds(self.embed(folder), [c @ unit(function(a @ pooled(t) + b)) for t in TEXTS])
        # Where embeddings cannot be had, all else can.
        for change, parts in (
            ({"2_Dense/config.json": {**files["2_Dense/config.json"], "activation_function": activation + "Mish"}}, ["activation.Mish"]),
            ({"5_Dense/config.json": {**files["5_Dense/config.json"], "in_features": 6}}, ["in_features 6", "gives 7"]),
            ({"2_Dense/model.safetensors": tiny_model.safetensors_bytes({"linear.weight": b})}, ["linear.weight", "[7]"]),
            ({"modules.json": modules(("Pooling", "1_Pooling"), ("WeightedLayerPooling", "2"))}, ["WeightedLayerPooling"]),
            ({"modules.json": modules()}, ["no Pooling"]),
        ):
            broken = self.model(f"broken{parts[0]}", {**files, **change})
            self.embed_refused(broken, *parts)
            self.calibrated(broken)

    def test_the_text_is_cut_where_the_folder_says(self):
        text = " ".join(tiny_model.WORDS)
        cases = {
            "st": ({"sentence_bert_config.json": {"max_seq_length": 9, "do_lower_case": False}, "tokenizer_config.json": {"model_max_length": 20}}, 9),
            "st-longer": ({"sentence_bert_config.json": {"max_seq_length": 12}, "tokenizer_config.json": {"model_max_length": 10}}, 12),
            "tokenizer": ({"tokenizer_config.json": {"model_max_length": 10}, "sentence_bert_config.json": {"max_seq_length": None}}, 10),
            "none": ({"tokenizer_config.json": {"model_max_length": 1e30}}, 32),
        }  # fmt: skip
        for name, (files, limit) in cases.items():
            with self.subTest(name):
                folder = self.model(name, files)
                ids = self.ids(folder, text)
                cut = ids if len(ids) <= limit else ids[: limit - 1] + ids[-1:]
                self.assert_embeds(self.embed(folder, [text]), [last_layer(cut).mean(0)])
        folder = self.work / "st"
        ids = self.ids(folder, text)
        self.assert_embeds(self.embed(folder, [text], "--max-length", 15), [last_layer(ids[:14] + ids[-1:]).mean(0)])

    def test_the_default_prompt(self):
        prompts = {"prompts": {"q": "The plant of: ", "d": ""}, "default_prompt_name": "q", "similarity_fn_name": "dot"}
        folder = self.model("prompt", {"config_sentence_transformers.json": prompts})
        expected = [last_layer(self.ids(folder, "The plant of: " + t)) for t in TEXTS]
        self.assert_embeds(self.embed(folder), [e.mean(0) for e in expected])
        skip = len(self.ids(folder, "The plant of: ")) - 1
        for name, pool in POOLINGS.items():  # as INSTRUCTOR does it
            put(folder, "1_Pooling/config.json", {"pooling_mode": name, "include_prompt": False})
            self.assert_embeds(self.embed(folder), [pool(e, skip) for e in expected])
        put(folder, "config_sentence_transformers.json", {**prompts, "default_prompt_name": None})
        self.assert_embeds(self.embed(folder), [last_layer(self.ids(folder, t))[-1] for t in TEXTS])

    def test_a_transformer_in_a_folder_of_its_own(self):
        st = self.work / "st"
        inner = self.model("st/0_Transformer", {"sentence_bert_config.json": {"max_seq_length": 6}})
        put(st, "modules.json", modules(("Pooling", "1_Pooling"), transformer="0_Transformer"))
        put(st, "1_Pooling/config.json", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False})
        put(st, "config.json", {"__version__": "0.2.5"})  # what the oldest have there
        ids = [self.ids(inner, t) for t in TEXTS]
        expected = [last_layer(i if len(i) <= 6 else i[:5] + i[-1:])[0] for i in ids]
        self.assert_embeds(self.embed(st), expected)
        self.assert_embeds(self.embed(inner), expected)

    # ---- Weights, configuration -----------------------------------------------------------------

    def test_double_weights_and_names_of_the_same_function(self):
        expected = self.embed(self.model("float"))
        doubles = {name: value.astype(np.float64) for name, value in WEIGHTS.items()}
        np.testing.assert_array_equal(self.embed(self.model("double", weights=doubles)), expected)
        np.testing.assert_array_equal(self.embed(self.model("python", hidden_act="gelu_python")), expected)

    def test_links_that_lead_nowhere(self):
        for name, content in {"tokenizer_config.json": {"do_lower_case": False}, "1_Pooling/config.json": {"pooling_mode": "cls"},
                              "activation_scales.json": "x", "model.safetensors": None, "modules.json": [], "added_tokens.json": {}}.items():  # fmt: skip
            with self.subTest(name):
                folder = self.model(name.replace("/", "-"), {} if content is None else {name: content})
                (folder / name).unlink()
                (folder / name).symlink_to("../../blobs/0123abcd")
                self.embed_refused(folder, name, "link to ../../blobs/0123abcd")
        put(self.work / "model.safetensors", "pytorch_model.bin", "x")
        self.embed_refused(self.work / "model.safetensors", "model.safetensors: a link to ../../blobs/0123abcd")
        dumps = tiny_model.write_dumps(self.work / "dumps", heads=1)
        (dumps / "layer0_head0_lengths.npy").symlink_to("gone.npy")
        self.refused(hccs("calibrate", "--logits", dumps, "-o", self.work / "p.json"), "layer0_head0_lengths.npy", "link to gone.npy")

    def test_git_lfs_pointers(self):
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'7' * 64}\nsize 90868376\n"
        for name in ("model.safetensors", "vocab.txt", "config.json", "tokenizer.json"):
            with self.subTest(name):
                self.embed_refused(self.model(name, {name: pointer}), name, "Git LFS pointer", "90868376 bytes", "git lfs pull")
        logits = put(self.work, "x.npy", pointer)
        self.refused(hccs("softmax", "--in", logits, "--exact-step", "0.1", "-o", self.work / "p.npy"), "Git LFS pointer")

    def test_parameters_follow_the_weights_and_not_the_name(self):
        snapshot = self.work / "hub/models--acme--tiny-bert/snapshots/0123456789abcdef"
        self.model(snapshot.relative_to(self.work), drop=["_name_or_path"])
        params = self.calibrated(snapshot)
        self.assertEqual(json.loads(params.read_text())["model"], "acme/tiny-bert")
        deployed = shutil.copytree(snapshot, self.work / "deployed")
        resaved = shutil.copytree(snapshot, self.work / "resaved")
        put(resaved, "config.json", {**json.loads((snapshot / "config.json").read_text()), "_name_or_path": "/home/user/checkpoint-500"})
        expected = self.embed(snapshot, TEXTS, "--params", params)
        for folder in (deployed, resaved):
            np.testing.assert_array_equal(self.embed(folder, TEXTS, "--params", params), expected)
        other = {**WEIGHTS, "embeddings.LayerNorm.bias": np.full(HIDDEN, 0.01, np.float32)}
        put(deployed, "model.safetensors", tiny_model.safetensors_bytes(other))
        put(self.work, "t.txt", "the plant\n")
        self.refused(hccs("embed", "--model", deployed, "--params", params, "--text", self.work / "t.txt", "-o", self.work / "x.npy"),
                     "weights xxh3-128:", "acme/tiny-bert")  # fmt: skip

    # ---- What the head is for -------------------------------------------------------------------

    def test_heads_that_are_no_classifiers_of_texts(self):
        task = put(self.work, "task.tsv", "".join(f"c{i % 3}\tthe plant grows {i}\n" for i in range(12)))
        for i, (config, parts) in enumerate((
            ({"architectures": ["BertForTokenClassification"]}, ["BertForTokenClassification", "labels tokens"]),
            ({"architectures": ["BertForMultipleChoice"]}, ["BertForMultipleChoice"]),
            ({"problem_type": "multi_label_classification"}, ["multi_label_classification"]),
            ({"problem_type": "regression"}, ["regression"]),
            ({"id2label": {"0": "score"}}, ["1 class"]),
            ({"id2label": {"0": "a", "1": "b"}}, ["classifier.weight", "[3, 16]", "2 labels"]),
        )):  # fmt: skip
            with self.subTest(parts[0]):
                folder, _ = self.classifier(f"head{i}", 3, **config)
                self.refused(hccs("evaluate", "--model", folder, "--task", task), folder, *parts)
                if HAS_TRAINER:
                    out = self.work / f"out{i}"
                    self.refused(hccs("train", "--train", task, "--dev", task, "--model", folder, "--epochs", 1, "-o", out), folder, *parts)
                    self.assertFalse((out / "model.safetensors").exists())
                self.embed(folder)
                self.calibrated(folder)
        # Without a classifier there is nothing to mistake: a new one is trained.
        folder = self.model("masked", architectures=["BertForMaskedLM"])
        self.refused(hccs("evaluate", "--model", folder, "--task", task), "BertForMaskedLM", "no classification head")
        if HAS_TRAINER:
            self.succeeds("train", "--train", task, "--dev", task, "--model", folder, "--epochs", 1, "--batch", 4, "-o", self.work / "new")

    def test_a_classifier_with_modules_of_its_own(self):
        folder, head = self.classifier("dense", files={"modules.json": modules(("Pooling", "1_Pooling"), ("Dense", "2_Dense"))})
        self.calibrated(folder)
        self.embed_refused(folder, "1_Pooling/config.json", "No such file")
        lines = []
        for text in TEXTS:
            pooled = np.tanh(head["pooler.dense.weight"] @ last_layer(self.ids(folder, text))[0] + head["pooler.dense.bias"])
            lines.append(f"c{np.argmax(head['classifier.weight'] @ pooled + head['classifier.bias'])}\t{text}\n")
        task = put(self.work, "task.tsv", "".join(lines))
        self.succeeds("evaluate", "--model", folder, "--task", task, "--json", self.work / "e.json")
        self.assertEqual(json.loads((self.work / "e.json").read_text())["rows"][0]["accuracy"], 1.0)

    def test_pairs_where_all_tokens_have_one_type(self):
        pairs = [("the plant", "grows"), ("a house", "is large"), ("an animal", "eats a plant"), ("time", "that")]
        one_type = {**WEIGHTS, "embeddings.token_type_embeddings.weight": WEIGHTS["embeddings.token_type_embeddings.weight"][:1]}
        _, head = self.classifier("two")
        labels = {}
        for name, weights, types, files in (
            ("one", one_type, 1, {}), ("two-named", WEIGHTS, 2, {"tokenizer_config.json": {"model_input_names": ["input_ids", "attention_mask"]}})):
            folder = self.model(name, files, {**weights, **head}, type_vocab_size=types, architectures=["BertForSequenceClassification"],
                                id2label={"0": "c0", "1": "c1"})  # fmt: skip
            lines = []
            for first, second in pairs:
                ids = self.ids(folder, first) + self.ids(folder, second)[1:]
                pooled = np.tanh(head["pooler.dense.weight"] @ last_layer(ids, weights=weights)[0] + head["pooler.dense.bias"])
                lines.append(f"c{np.argmax(head['classifier.weight'] @ pooled + head['classifier.bias'])}\t{first}\t{second}\n")
            labels[name] = lines
            task = put(self.work, "task.tsv", "".join(lines))
            self.succeeds("evaluate", "--model", folder, "--task", task, "--json", self.work / "e.json")
            self.assertEqual(json.loads((self.work / "e.json").read_text())["rows"][0]["accuracy"], 1.0)


if __name__ == "__main__":
    unittest.main()
