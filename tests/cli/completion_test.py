# SPDX-License-Identifier: Apache-2.0
"""Completion as it is typed: bash and zsh in a terminal, fish as it answers itself. completion_test.py PATH_OF_HCCS [options]."""
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import unittest

from cli_case import CYCLES, HCCS, CliCase

COMMANDS = {"calibrate", "quantise", "evaluate", "embed", "classify", "inspect", "report", "softmax", "logits", "export", "train", "completion",
            "man"}
if CYCLES:
    COMMANDS.add("cycles")
SECONDS = 300  # for a shell that hangs, not for a slow one


class Terminal:
    """An interactive shell in which hccs is a function that shows the words it gets, each as <word>."""

    def __init__(self, shell, folder, prepare):
        arguments = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}[shell]
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ.update({"TERM": "dumb", "HOME": str(folder), "HISTFILE": "/dev/null", "LC_ALL": "C.UTF-8"})
            os.execvp(arguments[0], arguments)
        self.text = ""
        # Words in two quotes, so that their echo is not taken for what they print.
        self.type(f"""PS1=; {prepare}; hccs() {{ printf '<%s>' "$@"; printf '\\nEN''D\\n'; }}; echo EN''D\n""")
        self.read_until("END")

    def type(self, text):
        os.write(self.terminal, text.encode())

    def read_until(self, mark):
        while mark not in self.text:
            if not select.select([self.terminal], [], [], SECONDS)[0]:
                raise TimeoutError(f"no {mark} after: {self.text}")
            self.text += os.read(self.terminal, 65536).decode(errors="replace")
        found, self.text = self.text.split(mark, 1)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\a", "", found)

    def words_of(self, line):
        """The words of the line once Tab was typed behind it."""
        self.type(line + "\t\n")
        return re.findall(r"<(.*?)>", self.read_until("END\r\n"))

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


# A line, and its last word once it was completed.
COMPLETED = (
    ("hccs ca", "calibrate"),
    ("hccs --v", "--version"),
    ("hccs completion f", "fish"),
    ("hccs calibrate --kn", "--knees"),
    ("hccs calibrate --limits pa", "paper"),
    ("hccs calibrate --limits=pa", "--limits=paper"),
    ("hccs calibrate --limits=paper --sha", "--share"),
    ("hccs calibrate --json=le", "--json=lengths.npy"),
    ("hccs inspect --json par", "params.json"),
    ("hccs inspect my", "my params.json"),
    ("hccs inspect 'my", "my params.json"),
    ("hccs embed --params par", "params.json"),
    ("hccs embed --params=my", "--params=my params.json"),
    ("hccs evaluate --params params.json le", "lengths.npy"),
    ("hccs evaluate --params params.json lengths.npy my", "my params.json"),
    ("hccs evaluate --params params.json --norm", "--normalisation"),
    ("hccs report params.json my", "my params.json"),
    ("hccs softmax --in le", "lengths.npy"),
    ("hccs train --teacher par", "params.json"),
    # What takes a number, or is not there, stays as it is typed.
    ("hccs calibrate --knees par", "par"),
    ("hccs calibrate --knees=par", "--knees=par"),
    ("hccs evaluate --kne", "--kne"),
    ("hccs calibrate --limits que", "que"),
)


class Completion(CliCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="hccs-completion-"))
        cls.files = cls.root / "files"
        cls.files.mkdir()
        for name in ("params.json", "my params.json", "lengths.npy"):
            (cls.files / name).touch()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def script(self, shell, name):
        (self.work / name).write_text(self.succeeds("completion", shell).stdout)
        return self.work / name

    def in_terminal(self, shell, prepare):
        terminal = Terminal(shell, self.files, prepare)
        try:
            for line, word in COMPLETED:
                with self.subTest(line=line):
                    self.assertEqual(terminal.words_of(line)[-1], word)
        finally:
            terminal.close()

    @unittest.skipUnless(shutil.which("bash"), "there is no bash")
    def test_bash(self):
        self.in_terminal("bash", f"bind 'set enable-bracketed-paste off'; source {self.script('bash', 'hccs.bash')}")

    @unittest.skipUnless(shutil.which("zsh"), "there is no zsh")
    def test_zsh(self):
        folder = self.script("zsh", "_hccs").parent
        self.in_terminal("zsh", f"unset zle_bracketed_paste; fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D")

    def complete_in_fish(self, script, line):
        home = dict(os.environ, HOME=str(self.work), XDG_CONFIG_HOME=str(self.work), XDG_DATA_HOME=str(self.work),
                    PATH=f"{os.path.dirname(HCCS)}:{os.environ['PATH']}")
        code = 'source $argv[1]; complete -C $argv[2]'
        result = subprocess.run(["fish", "--no-config", "-c", code, str(script), line], capture_output=True, text=True, cwd=self.files, env=home)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return [candidate.split("\t")[0] for candidate in result.stdout.splitlines()]

    @unittest.skipUnless(shutil.which("fish"), "there is no fish")
    def test_fish(self):
        script = self.script("fish", "hccs.fish")
        self.assertTrue(COMMANDS <= set(self.complete_in_fish(script, "hccs ")))
        for line, word in COMPLETED:
            with self.subTest(line=line):
                same = word == line.split(" ")[-1]
                self.assertEqual(self.complete_in_fish(script, line), [] if same else [word])

    @unittest.skipUnless(shutil.which("bash"), "there is no bash")
    def test_all_commands_and_choices_in_bash(self):
        script = self.script("bash", "hccs.bash")
        for words, expected in (([""], COMMANDS | {"--help", "--version"}), (["calibrate", "--limits", ""], {"native", "paper"}),
                                (["calibrate", "--limits", "="], {"native", "paper"}), (["completion", ""], {"bash", "zsh", "fish"})):
            line = " ".join(f"'{word}'" for word in ["hccs", *words])
            code = f'source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _hccs; printf "%s\\n" "${{COMPREPLY[@]}}"'
            result = subprocess.run(["bash", "--norc", "-c", code], capture_output=True, text=True)
            self.assertEqual((set(result.stdout.split()), result.stderr), (expected, ""))


if __name__ == "__main__":
    unittest.main()
