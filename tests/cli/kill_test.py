# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments: kill_test.py PATH_OF_HCCS [unittest options]. HCCS_SEED repeats the moments as far as a
machine can, HCCS_KILLS is how many there are in all.

An output's name holds the earlier output, the new one or nothing; what a killed run leaves beside it has a name that
begins with ".hccs-", and later runs work next to it.
"""
import json
import os
import pathlib
import random
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import unittest

import tiny_model
from cli_case import HAS_TRAINER, HCCS, CliCase, hccs, needs_trainer

SEED = int(os.environ.get("HCCS_SEED") or random.SystemRandom().randrange(2**32))
KILLS = int(os.environ.get("HCCS_KILLS") or 200)
# Of all kills, those of each command.
OF_TRAIN = KILLS // 10 if HAS_TRAINER else 0
OF_EXPORT = OF_QUANTISE = (KILLS - OF_TRAIN) // 3
OF_CALIBRATE = KILLS - OF_TRAIN - OF_EXPORT - OF_QUANTISE


def files(folder):
    """Every file below the folder with its content."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def is_being_written(folder, before):
    """Whether a temporary that was not there before holds something."""
    for name in set(os.listdir(folder)) - before:
        if name.startswith(".hccs-"):
            try:
                status = os.stat(folder / name)
            except FileNotFoundError:  # it has just got its name
                continue
            if stat.S_ISDIR(status.st_mode) or status.st_size > 0:
                return True
    return False


class Kill(CliCase):
    @classmethod
    def setUpClass(cls):
        print(f"HCCS_SEED={SEED}, {OF_CALIBRATE} times calibrate, {OF_QUANTISE} quantise, {OF_EXPORT} export, "
              f"{OF_TRAIN} train", flush=True)
        cls.random = random.Random(SEED)
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="hccs-kill-"))
        cls.model = tiny_model.write_model(cls.root / "model")
        cls.lines = cls.root / "lines.txt"
        cls.lines.write_text("\n".join(tiny_model.sentences(20)) + "\n")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def timed(self, arguments):
        start = time.monotonic()
        self.succeeds(*arguments)
        return time.monotonic() - start

    def kill(self, arguments, folder, seconds):
        """Runs hccs and kills it: at any moment of `seconds`, or while it writes into `folder`. Whether it was killed."""
        before = set(os.listdir(folder))
        run = subprocess.Popen([HCCS, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if self.random.random() < 0.5:
            try:
                run.wait(timeout=self.random.uniform(0, seconds))
            except subprocess.TimeoutExpired:
                pass
        else:
            while run.poll() is None and not is_being_written(folder, before):
                time.sleep(0.0002)
            time.sleep(self.random.choice([0, 0, self.random.uniform(0, 0.003)]))
        run.kill()
        code = run.wait(timeout=60)
        self.assertIn(code, (0, -signal.SIGKILL), arguments)
        return code != 0

    def only_temporaries_beside(self, folder, *names):
        left = [name for name in os.listdir(folder) if name not in names]
        self.assertEqual([name for name in left if not name.startswith(".hccs-")], [])
        return len(left)

    def replaces_one_by_the_other(self, commands, out, kills):
        """Two commands write the same file in turn, and are killed."""
        seconds, contents = [], []
        for command in commands:
            seconds.append(self.timed(command))
            contents.append(out.read_bytes())
        self.assertNotEqual(*contents)
        killed = 0
        for _ in range(kills):
            new = contents.index(out.read_bytes()) ^ 1
            killed += self.kill(commands[new], self.work, 1.1 * seconds[new])
            self.assertIn(out.read_bytes(), contents)
        left = self.only_temporaries_beside(self.work, out.name)
        print(f"{commands[0][0]}: {killed} of {kills} were killed before their end, {left} left a temporary", flush=True)
        self.assertGreater(killed, 0)
        for command, content in zip(commands, contents):
            self.succeeds(*command)
            self.assertEqual(out.read_bytes(), content)
        self.assertEqual(self.only_temporaries_beside(self.work, out.name), left)

    def test_calibrate(self):
        out = self.work / "params.json"
        self.replaces_one_by_the_other([["calibrate", "--model", self.model, "--text", self.lines, "--knees", knees,
                                         "--threads", 1, "-o", out] for knees in (1, 2)], out, OF_CALIBRATE)

    def test_quantise(self):
        params = self.root / "heads.json"
        self.succeeds("calibrate", "--model", self.model, "--text", self.lines, "--knees", 1, "-o", params)
        out = self.work / "model.hccs"
        self.replaces_one_by_the_other([["quantise", "--model", self.model, "--text", self.lines, "--params", params,
                                         "--rounding", rounding, "--threads", 1, "-o", out]
                                        for rounding in ("nearest", "gptq")], out, OF_QUANTISE)

    def test_export(self):
        params = self.root / "params.json"
        self.succeeds("calibrate", "--model", self.model, "--text", self.lines, "--knees", 1, "-o", params)
        out = self.work / "project"
        command = ["export", "--target", "aie", "--params", params, "--layer", 0, "--head", 1, "--length", 12, "--rows", 4, "-o", out]
        seconds = self.timed(command)
        whole = files(out)
        self.assertGreater(len(whole), 10)
        shutil.rmtree(out)
        killed = 0
        for _ in range(OF_EXPORT):
            killed += self.kill(command, self.work, 1.1 * seconds)
            if out.exists():
                self.assertEqual(files(out), whole)
                shutil.rmtree(out)
        left = self.only_temporaries_beside(self.work)
        print(f"export: {killed} of {OF_EXPORT} were killed before their end, {left} left a temporary", flush=True)
        self.assertGreater(killed, 0)
        self.succeeds(*command)
        self.assertEqual(files(out), whole)
        self.assertEqual(self.only_temporaries_beside(self.work, "project"), left)

    # ---- train, whose output is also where it works ------------------------------------------------

    def every_file_is_whole(self, folder):
        for path in folder.rglob("*"):
            if path.name.startswith(".hccs-") or path.is_dir():
                continue
            with self.subTest(file=path):
                content = path.read_bytes()
                if path.suffix == ".json":
                    json.loads(content)
                elif path.suffix == ".safetensors":
                    header = int.from_bytes(content[:8], "little")
                    ends = [t["data_offsets"][1] for n, t in json.loads(content[8:8 + header]).items() if n != "__metadata__"]
                    self.assertEqual(len(content), 8 + header + max(ends))
                else:
                    self.assertEqual(path.name, "vocab.txt")
                    self.assertTrue(content.endswith(b"\n"))

    @needs_trainer
    def test_train(self):
        data = self.root / "train.tsv"
        texts = tiny_model.sentences(48)
        data.write_text("".join(f"{'yes' if 'the' in t.split() else 'no'}\t{t}\n" for t in texts))
        vocabulary = self.model / "vocab.txt"
        out = self.work / "model"
        command = ["train", "--train", data, "--dev", data, "--vocabulary", vocabulary, "--hidden", 16, "--positions", 16,
                   "--epochs", 3, "--batch", 8, "--learning-rate", 0.01, "--threads", 1, "--softmax", "hccs", "--checkpoint-steps", 2,
                   "--resume", "-o", out]
        seconds = self.timed(command)
        made = ("model.safetensors", "params.json", "config.json", "vocab.txt", "tokenizer_config.json")
        whole = {name: (out / name).read_bytes() for name in made}
        shutil.rmtree(out)
        killed = finished = 0
        for _ in range(OF_TRAIN):
            out.mkdir(exist_ok=True)
            killed += self.kill(command, out, 1.1 * seconds)
            self.every_file_is_whole(out)
            if (out / "training.json").exists():
                self.assertEqual({name: (out / name).read_bytes() for name in made}, whole)
                shutil.rmtree(out)
                finished += 1
        print(f"train: {killed} of {OF_TRAIN} were killed before their end, {finished} runs came to it", flush=True)
        self.assertGreater(killed, 0)
        self.succeeds(*command)
        self.assertEqual({name: (out / name).read_bytes() for name in made}, whole)


if __name__ == "__main__":
    unittest.main()
