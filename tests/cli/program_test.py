# SPDX-License-Identifier: Apache-2.0
"""How hccs behaves as a program, whatever the command: program_test.py PATH_OF_HCCS [unittest options]. Needs NumPy."""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import threading
import time
import unicodedata
import unittest

import numpy as np

import tiny_model
from cli_case import HCCS, CliCase, hccs, needs_trainer

COMMANDS = ("calibrate", "quantise", "evaluate", "embed", "classify", "inspect", "report", "softmax", "logits", "export", "train", "completion", "man")
MANY = 60_000  # texts: long enough to be interrupted
TRAINING_WORDS = "good fine bad poor film plot the and".split()


def columns_of(text):
    """What a terminal shows of a line: colours take no place, wide characters two columns, marks none."""
    text = re.sub(r"\x1b\[[0-9;]*[mK]", "", text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def in_terminal(arguments, columns, rows=24, env=None, **options):
    """Runs hccs with stderr on a terminal so wide. Returns exit code, stdout, and what the terminal got."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
    environment.update({"TERM": "xterm", **(env or {})})
    run = subprocess.Popen([HCCS, *map(str, arguments)], stdout=subprocess.PIPE, stderr=slave, env=environment, **options)
    os.close(slave)
    shown = bytearray()

    def read():
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:  # the other side is closed
                return
            if not data:
                return
            shown.extend(data)

    reader = threading.Thread(target=read)
    reader.start()
    stdout = run.stdout.read()
    run.wait(timeout=300)
    run.stdout.close()
    reader.join()
    os.close(master)
    return run.returncode, stdout.decode(), shown.decode()


def start(arguments, **options):
    return subprocess.Popen([HCCS, *map(str, arguments)], **options)


class Program(CliCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="hccs-program-"))
        cls.model = tiny_model.write_model(cls.root / "model")
        cls.lines = cls.root / "lines.txt"
        cls.lines.write_text("\n".join(tiny_model.sentences(60)) + "\n")
        cls.many = cls.root / "many.txt"
        cls.many.write_text("\n".join(tiny_model.sentences(MANY)) + "\n")
        cls.params = cls.root / "params.json"
        done = hccs("calibrate", "--model", cls.model, "--text", cls.lines, "--knees", 2, "-o", cls.params)
        assert done.returncode == 0, done.stderr
        np.save(cls.root / "x.npy", np.arange(-20, 20, dtype=np.int8).reshape(2, 20))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def commands(self):
        """A run of each command that writes a file, without the name of that file."""
        return {
            "calibrate": ["calibrate", "--model", self.model, "--text", self.lines, "-o"],
            "quantise": ["quantise", "--model", self.model, "--text", self.lines, "--params", self.params, "-o"],
            "embed": ["embed", "--model", self.model, "--text", self.lines, "-o"],
            "logits": ["logits", "--model", self.model, "--text", self.lines, "-o"],
            "softmax": ["softmax", "--in", self.root / "x.npy", "--params", self.params, "--layer", 0, "--head", 1, "-o"],
            "export": ["export", "--target", "aie", "--params", self.params, "--layer", 0, "--head", 0, "--length", 20, "--rows", 4, "-o"],
        }

    # ---- messages never end a run -------------------------------------------------------------------

    def test_a_stderr_that_takes_nothing_loses_messages_and_nothing_else(self):
        expected = {}
        for name, arguments in self.commands().items():
            self.succeeds(*arguments, self.work / name)
            expected[name] = (self.work / name).read_bytes() if (self.work / name).is_file() else sorted(os.listdir(self.work / name))
        read, write = os.pipe()
        os.close(read)
        for kind, redirection in (("full", "2>/dev/full"), ("closed", "2>&-"), ("all closed", "<&- 2>&-"), ("broken", f"2>&{write}")):
            for name, arguments in self.commands().items():
                with self.subTest(kind=kind, command=name):
                    out = self.work / f"{name} {kind}"
                    result = subprocess.run(["sh", "-c", f'exec "$@" {redirection}', "sh", HCCS, *map(str, arguments), str(out)],
                                            stdout=subprocess.PIPE, pass_fds=[write])
                    self.assertEqual(result.returncode, 0)
                    self.assertEqual(out.read_bytes() if out.is_file() else sorted(os.listdir(out)), expected[name])
            with self.subTest(kind=kind, command="failing"):
                for arguments, code in (((HCCS, "inspect", "missing.json"), 1), ((HCCS, "inspect"), 2), ((HCCS, "nonsense"), 2)):
                    result = subprocess.run(["sh", "-c", f'exec "$@" {redirection}', "sh", *arguments], stdout=subprocess.PIPE, pass_fds=[write])
                    self.assertEqual((result.returncode, result.stdout), (code, b""))
        os.close(write)

    def test_a_result_that_cannot_be_written_is_an_error(self):
        for arguments in (["inspect", self.params], ["inspect", self.params, "--json"], ["--help"], ["calibrate", "--help"],
                          ["--version"], ["completion", "bash"], ["man"],
                          ["calibrate", "--model", self.model, "--text", self.lines, "-o", self.work / "p.json"]):
            for redirection in (">/dev/full", ">&-"):
                with self.subTest(arguments=arguments, redirection=redirection):
                    result = subprocess.run(["sh", "-c", f'exec "$@" {redirection}', "sh", HCCS, *map(str, arguments)], stderr=subprocess.PIPE, text=True)
                    self.assertEqual(result.returncode, 1, result.stderr)
                    self.assertIn("cannot write to standard output", result.stderr)
        self.assertEqual((self.work / "p.json").read_bytes()[:1], b"{")  # the file is complete all the same
        # What has nothing to say on stdout does not miss it.
        result = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", HCCS, "embed", "--model", self.model, "--text", self.lines, "-o", self.work / "e.npy"])
        self.assertEqual(result.returncode, 0)
        self.assertEqual(np.load(self.work / "e.npy").shape[0], 60)

    def test_a_reader_that_has_gone_ends_it_quietly(self):
        run = start(["man"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        run.stdout.close()
        stderr = run.stderr.read()
        run.stderr.close()
        self.assertEqual((run.wait(), stderr), (-signal.SIGPIPE, b""))
        # Whoever ignores the signal gets an error.
        run = start(["man"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, restore_signals=False)
        run.stdout.close()
        stderr = run.stderr.read()
        run.stderr.close()
        self.assertEqual(run.wait(), 1)
        self.assertIn(b"Broken pipe", stderr)

    def test_control_characters_of_a_name_do_not_reach_the_terminal(self):
        stderr = hccs("inspect", self.work / "\x1b[2Jhidden.json").stderr
        self.assertNotIn("\x1b", stderr)
        self.assertIn("\\x1b[2Jhidden.json", stderr)

    # ---- the terminal -------------------------------------------------------------------------------

    def assert_fits(self, shown, columns):
        lines = [part for line in shown.split("\n") for part in line.split("\r") if part]
        self.assertTrue(lines)
        for line in lines:
            self.assertLess(columns_of(line), columns, line)
        return lines

    def test_the_progress_line_fits_the_terminal(self):
        folder = self.work / ("\u30d5\u30a1\u30a4\u30eb\u540d" * 4)  # wide characters
        folder.mkdir()
        embed = ["embed", "--model", self.model, "--text", self.many, "-o"]
        for columns in (200, 80, 40, 24, 3):
            with self.subTest(columns=columns):
                code, _, shown = in_terminal([*embed, "e.npy"], columns, cwd=folder)
                self.assertEqual(code, 0)
                progress = shown.partition("wrote ")[0]
                lines = self.assert_fits(progress, columns)
                self.assertGreater(len(lines), 3)  # it was redrawn
                self.assertEqual(progress.count("\n"), 1)  # in one line
                if columns >= 80:
                    self.assertRegex(lines[-1], rf"embedding .*\[.*#+.*\] {MANY}/{MANY} texts, \d+ s$")
                elif columns >= 24:
                    self.assertIn(f"{MANY}/{MANY} texts", lines[-1])

    def test_colours_only_where_a_terminal_has_them(self):
        embed = ["embed", "--model", self.model, "--text", self.lines, "-o", self.work / "e.npy"]
        failing = ["inspect", self.work / "missing.json"]
        self.assertIn("\x1b[32m#", in_terminal(embed, 80)[2])
        self.assertIn("\x1b[1;31mhccs inspect", in_terminal(failing, 80)[2])
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}):
            for arguments in (embed, failing):
                with self.subTest(env=env, arguments=arguments):
                    self.assertNotRegex(in_terminal(arguments, 80, env=env)[2], r"\x1b\[[0-9;]*m")
        self.assertIn("\x1b[32m#", in_terminal(embed, 80, env={"NO_COLOR": ""})[2])
        self.assertNotIn("\x1b", in_terminal(embed, 80, env={"TERM": "dumb"})[2])
        for result in (hccs(*embed), hccs(*failing)):
            self.assertNotIn("\x1b", result.stderr + result.stdout)

    # ---- Ctrl-C -------------------------------------------------------------------------------------

    def interrupted(self, arguments, what=signal.SIGINT, until=b""):
        run = start(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        seen = b""
        while until not in seen or not seen:  # the work is under way
            line = run.stderr.readline()
            self.assertNotEqual(line, b"", seen)
            seen += line
        run.send_signal(what)
        stdout, stderr = run.communicate(timeout=120)
        self.assertEqual(run.returncode, 128 + what, seen + stderr)
        self.assertEqual(stdout, b"")
        self.assertIn(b"cancelled", stderr)

    def test_an_interrupted_run_says_so_by_its_exit_code(self):
        before = set(self.root.iterdir())
        model = ["--model", self.model]
        for what in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.interrupted(["embed", *model, "--text", self.many, "-o", self.work / "e.npy"], what)
        self.interrupted(["calibrate", *model, "--text", self.many, "-o", self.work / "p.json"])
        self.interrupted(["calibrate", *model, "--text", self.lines, "--knees", 4, "--rows", 1 << 20, "--threads", 1, "--text", self.many,
                          "-o", self.work / "p.json"])
        self.interrupted(["logits", *model, "--text", self.many, "-o", self.work / "logits"])
        self.assertEqual(list(self.work.iterdir()), [])
        self.assertEqual(set(self.root.iterdir()), before)

    def test_an_interrupted_evaluation(self):
        wordnet = self.work / "data.noun"
        tiny_model.write_wordnet(wordnet)
        self.interrupted(["evaluate", "--model", self.model, "--params", self.params, "--task", "wordnet", "--wordnet", wordnet, "--threads", 1,
                          f"--json={self.work / 'e.json'}"])
        self.assertEqual(list(self.work.iterdir()), [wordnet])

    def test_nohup_survives_the_terminal(self):
        run = start(["embed", "--model", self.model, "--text", self.many, "-o", self.work / "e.npy"], stderr=subprocess.PIPE,
                    preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        run.stderr.readline()
        run.send_signal(signal.SIGHUP)
        run.communicate(timeout=120)
        self.assertEqual(run.returncode, 0)
        self.assertEqual(np.load(self.work / "e.npy").shape[0], MANY)

    # ---- typing -------------------------------------------------------------------------------------

    def test_suggestions(self):
        for arguments, parts in (
            (["calibrat"], ["unknown command 'calibrat'", "did you mean calibrate?"]),
            (["Embed"], ["unknown command 'Embed'", "did you mean embed?"]),
            (["evalaute", "--model", "m"], ["did you mean evaluate?"]),
            (["inspekt", "p.json"], ["did you mean inspect?"]),
            (["evalaute", "embed", "softmax"], ["unknown command 'evalaute'", "did you mean evaluate?"]),
            (["frobnicate"], ["unknown command 'frobnicate'", "Try: hccs --help"]),
            (["--versoin"], ["unknown option --versoin", "did you mean --version?"]),
            (["calibrate", "--kness", 3], ["unknown option --kness of hccs calibrate", "did you mean --knees?", "Try: hccs calibrate --help"]),
            (["calibrate", "--kness=3"], ["unknown option --kness of hccs calibrate", "did you mean --knees?"]),
            (["calibrate", "--max_length", 3, "-o", "p"], ["--max_length", "did you mean --max-length?"]),
            (["embed", "-json"], ["unknown option -json", "did you mean --json?"]),
            (["embed", "--knees", 3], ["unknown option --knees of hccs embed", "it is one of hccs calibrate"]),
            (["softmax", "--zzzzzz"], ["unknown option --zzzzzz of hccs softmax"]),
            (["inspect", "a", "b"], ["unexpected argument 'b'"]),
            (["train", "--epoch", 3, "-o", "m"], ["unknown option --epoch of hccs train", "did you mean --epochs?"]),
        ):
            with self.subTest(arguments=arguments):
                self.refused(hccs(*arguments), *parts, code=2)
        self.assertNotIn("did you mean", hccs("frobnicate").stderr + hccs("softmax", "--zzzzzz").stderr)

    def test_json_is_the_same_option_everywhere(self):
        """Alone or as - on stdout, with =FILE in a file beside the text; the same report each way."""
        for name, arguments in {**self.commands(), "inspect": ["inspect", self.params]}.items():
            with self.subTest(command=name):
                reports = []
                for i, option in enumerate(("--json", "--json=-", f"--json={self.work / name}.json")):
                    output = [self.work / f"{name}{i}"] if arguments[-1] == "-o" else []
                    stdout = self.succeeds(*arguments, *output, option).stdout
                    if i < 2:
                        reports.append(json.loads(stdout))
                    else:
                        self.assertFalse(stdout.startswith("{"))
                        reports.append(json.loads((self.work / f"{name}.json").read_text()))
                for report in reports:  # of runs into other files, that took other times
                    report.pop("output", None)
                    report.pop("calibration_seconds", None)
                self.assertEqual(reports[0], reports[1])
                self.assertEqual(reports[0], reports[2])
        # What follows is no file of it where it can be an argument.
        before = self.params.read_bytes()
        self.assertEqual(json.loads(self.succeeds("inspect", "--json", self.params).stdout)["layers"], 2)
        self.assertEqual(self.params.read_bytes(), before)
        self.refused(hccs("inspect", self.params, f"--json={self.params}"), "would replace")
        self.refused(hccs("embed", *self.commands()["embed"][1:], self.work / "e", f"--json={self.work / '.' / 'e'}"), "same file")
        self.refused(hccs("inspect", self.params, f"--json={self.work / 'no' / 'x.json'}"), "x.json")
        self.refused(hccs("inspect", self.params, "--json="), "--json", code=2)
        self.assertEqual(self.params.read_bytes(), before)

    def test_version(self):
        lines = self.succeeds("--version").stdout.splitlines()
        self.assertRegex(lines[0], r"^hccs \d+\.\d+\.\d+$")
        values = dict(line.split(": ", 1) for line in lines[1:])
        self.assertRegex(values["commit"], r"^([0-9a-f]{12}(-dirty)?|unknown)$")
        targets = values["CPU targets"].split(", ")
        self.assertEqual(targets[-1], "portable")
        self.assertIn(values["CPU target chosen"], targets)
        self.assertTrue(values["training"].startswith(("yes, /", "no")))
        chosen = self.succeeds("--version", env=dict(os.environ, HCCS_TARGET="portable")).stdout
        self.assertIn("CPU target chosen: portable\n", chosen)

    def test_no_command_but_train_loads_libtorch(self):
        libraries = subprocess.run(["ldd", HCCS], capture_output=True, text=True).stdout
        self.assertIn("libc.so", libraries)
        self.assertNotIn("torch", libraries)

    # ---- manual page and completion -----------------------------------------------------------------

    def test_the_manual_page_has_all_that_help_has(self):
        page = self.succeeds("man").stdout
        plain = page.replace("\\-", "-")
        for command in COMMANDS:
            self.assertIn(f'.SS "hccs {command}"', page)
            for option in re.findall(r"^  (?:-\w,)?(--[\w-]+)", self.succeeds(command, "--help").stdout, re.M):
                self.assertIn(f"\\fB{option}\\fR", plain.split(f'.SS "hccs {command}"')[1].split(".SS")[0])
        if shutil.which("groff"):
            checked = subprocess.run(["groff", "-ww", "-man", "-Tutf8", "-z"], input=page, capture_output=True, text=True)
            self.assertEqual((checked.returncode, checked.stderr), (0, ""))

    def test_completion_scripts(self):  # completion_test.py types in the shells
        for shell in ("bash", "zsh", "fish"):
            script = self.succeeds("completion", shell).stdout
            for word in (*COMMANDS, "knees", "native paper"):
                self.assertIn(word, script)
            if shutil.which(shell):
                self.assertEqual(subprocess.run([shell, "-n"], input=script, text=True).returncode, 0)
        self.refused(hccs("completion", "tcsh"), "tcsh", code=2)


@needs_trainer
class Trainer(CliCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="hccs-trainer-"))
        cls.vocabulary = cls.root / "vocab.txt"
        cls.vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]"] + TRAINING_WORDS) + "\n")
        cls.task = cls.root / "task.tsv"
        cls.task.write_text("".join(f"{'yes' if i % 2 else 'no'}\tthe {TRAINING_WORDS[0 if i % 2 else 2]} film {TRAINING_WORDS[i % 8]}\n" for i in range(64)))
        cls.arguments = ["train", "--train", cls.task, "--dev", cls.task, "--vocabulary", cls.vocabulary, "--hidden", 16, "--positions", 24,
                         "--threads", 1, "--batch", 8]

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def test_a_terminal_that_goes_away_does_not_end_a_training(self):
        master, slave = pty.openpty()
        run = start([*self.arguments, "--epochs", 30, "-o", self.work / "m"], stdin=subprocess.DEVNULL, stdout=slave, stderr=slave,
                    start_new_session=True)
        os.close(slave)
        select.select([master], [], [], 60)  # it has begun to speak
        os.close(master)
        # Its table cannot be printed in the end; everything else is there.
        self.assertEqual(run.wait(timeout=300), 1)
        self.assertTrue((self.work / "m" / "model.safetensors").exists())
        self.assertEqual(json.loads((self.work / "m" / "training.json").read_text())["steps"], 240)

    def test_json_exit_codes_and_signals_pass_through(self):
        report = json.loads(self.succeeds(*self.arguments, "--epochs", 1, "--json", "-o", self.work / "m").stdout)
        self.assertEqual(report["steps"], 8)
        self.assertEqual(report["accuracies"][0]["set"], "dev")
        self.refused(hccs(*self.arguments, "-o", self.work / "m"), "hccs train: invalid argument", "finished run")
        self.refused(hccs(*self.arguments, "--epochs", "many", "-o", self.work / "n"), "--epochs", code=2)
        run = start([*self.arguments, "--epochs", 100000, "-o", self.work / "n"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while not run.stderr.readline().startswith(b"step "):  # after the classes of the examples
            self.assertIsNone(run.poll())
        run.send_signal(signal.SIGINT)
        stderr = run.communicate(timeout=60)[1]
        self.assertEqual(run.returncode, 130, stderr)
        self.assertIn(b"--resume continues", stderr)
        self.assertTrue((self.work / "n" / "checkpoint.safetensors").exists())

    def test_the_progress_line_fits_the_terminal(self):
        for columns in (100, 80, 40, 20):
            with self.subTest(columns=columns):
                _, _, shown = in_terminal([*self.arguments, "--epochs", 2, "-o", self.work / str(columns)], columns)
                progress = shown.partition("wrote ")[0]
                progress = progress[progress.index("step ") :]  # the classes of the examples come first
                lines = [part for line in progress.split("\n") for part in line.split("\r") if part]
                self.assertGreater(len(lines), 2)
                for line in lines:
                    self.assertLess(columns_of(line), columns, line)

    def test_without_the_trainer_the_message_says_what_is_missing(self):
        alone = self.work / "bin" / "hccs"
        alone.parent.mkdir()
        shutil.copy(HCCS, alone)
        result = subprocess.run([alone, *map(str, self.arguments), "-o", self.work / "m"], capture_output=True, text=True)
        self.refused(result, "hccs-train", str(alone.parent), "libtorch")
        self.assertIn("training: no", subprocess.run([alone, "--version"], capture_output=True, text=True).stdout)
        # Installed: in libexec beside bin.
        (self.work / "libexec" / "hccs").mkdir(parents=True)
        shutil.copy(pathlib.Path(HCCS).parent / "hccs-train", self.work / "libexec" / "hccs")
        result = subprocess.run([alone, *map(str, self.arguments), "--epochs", "1", "-o", self.work / "m"], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_both_parts_of_the_loss(self):
        self.succeeds(*self.arguments, "--epochs", 20, "--learning-rate", 0.02, "-o", self.work / "teacher")
        alone = self.succeeds(*self.arguments, "--epochs", 1, "-o", self.work / "alone").stderr
        taught = self.succeeds(*self.arguments, "--epochs", 1, "--teacher", self.work / "teacher", "-o", self.work / "taught").stderr
        loss = float(re.search(r"^step 1/8, loss (\d+\.\d{4}),", alone, re.M)[1])
        entropy, distillation = re.search(r"^step 1/8, cross entropy (\d+\.\d{4}), distillation (\d+\.\d{4}),", taught, re.M).groups()
        self.assertEqual(float(entropy), loss)  # of the same weights and batch
        self.assertTrue(0 < float(distillation) < 2)

    def test_parameters_of_no_epochs_are_those_of_the_model_they_were_calibrated_on(self):
        self.succeeds(*self.arguments, "--epochs", 1, "-o", self.work / "float")
        source = ["train", "--train", self.task, "--dev", self.task, "--model", self.work / "float", "--softmax", "hccs", "--threads", 1]
        self.succeeds(*source, "--epochs", 0, "-o", self.work / "calibrated")
        params = self.work / "calibrated" / "params.json"
        for model in ("float", "calibrated"):
            self.succeeds("evaluate", "--model", self.work / model, "--params", params, "--task", self.task)
        self.succeeds("inspect", params)


if __name__ == "__main__":
    unittest.main()
