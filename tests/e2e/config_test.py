#!/usr/bin/python3
"""Flags, FATHOM_* variables and --config of the real binary, names known from other servers, models
given wrongly, and docs/configuration.md held against what the binary knows.

FATHOM_BIN names the binary.
"""

import json
import os
import re
import subprocess
import tempfile
import tomllib
import unittest

from server import REPOSITORY, fathom_binary

TINY = os.path.join(REPOSITORY, "models", "tiny")
DOCUMENT = os.path.join(REPOSITORY, "docs", "configuration.md")
DEADLINE_S = 120


def fathom(*words, **variables):
    """-> (exit code, stdout, stderr), with no other FATHOM_* variables than those given."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FATHOM_")}
    done = subprocess.run(
        [fathom_binary(), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        env={**environment, **variables},
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def document():
    with open(DOCUMENT, encoding="utf-8") as file:
        return file.read()


class Settings(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.file = os.path.join(self.directory.name, "fathom.toml")

    def write(self, text):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(text)

    def settings(self, *words, **variables):
        """What --print-config says -> ({key: value}, {key: where it is from})."""
        code, out, err = fathom(*words, "--print-config", **variables)
        self.assertEqual((code, err), (0, ""))
        sources = dict(re.findall(r"^(?:# )?([a-z-]+) = .* # (.*)$", out, re.MULTILINE))
        return tomllib.loads(out), sources

    def refused(self, *words, **variables):
        """stderr of a command that must end with code 2."""
        code, out, err = fathom(*words, **variables)
        self.assertEqual((code, out), (2, ""), err)
        self.assertTrue(err.startswith("fathom: "), err)
        return err


class Precedence(Settings):
    def test_flag_over_variable_over_file_over_default(self):
        self.write("port = 3\nmax-running = 3\nspeculate = 3\n")
        values, sources = self.settings(
            "serve", "--config", self.file, "--port", "1", FATHOM_PORT="2", FATHOM_MAX_RUNNING="2"
        )
        self.assertEqual((values["port"], sources["port"]), (1, "flag --port"))
        self.assertEqual(
            (values["max-running"], sources["max-running"]), (2, "environment FATHOM_MAX_RUNNING")
        )
        self.assertEqual(
            (values["speculate"], sources["speculate"]), (3, f"file {self.file}:3")
        )
        self.assertEqual((values["max-waiting"], sources["max-waiting"]), (2048, "default"))

    def test_the_file_may_be_named_by_a_variable(self):
        self.write("[serve]\nport = 3\n[bench]\njson = true\n")
        values, _ = self.settings("serve", FATHOM_CONFIG=self.file)
        self.assertEqual(values["port"], 3)

    def test_what_is_printed_is_a_file_of_the_same(self):
        values, _ = self.settings("serve", "m", "--alias", "a=m,thinking=on", "--no-pin",
                                  "--cors-origin", "https://a,https://b")  # fmt: skip
        code, out, _ = fathom("serve", "m", "--alias", "a=m,thinking=on", "--no-pin",
                              "--cors-origin", "https://a,https://b", "--print-config")  # fmt: skip
        self.assertEqual(code, 0)
        self.write(out)
        again, _ = self.settings("serve", "--config", self.file)
        self.assertEqual(values, again)
        self.assertEqual(values["alias"], ["a=m,thinking=on"])
        self.assertEqual(values["cors-origin"], ["https://a", "https://b"])
        self.assertIs(values["pin"], False)

    def test_a_model_is_loaded_as_the_file_says(self):
        self.write(f'model = "{TINY}"\nthreads = 1\n[serve]\ncheck = true\n')
        code, out, err = fathom("serve", "--config", self.file)
        self.assertEqual(code, 0, err)
        self.assertIn("is good", out)

    def test_secrets_are_not_printed(self):
        code, out, err = fathom("chat", "--print-config", FATHOM_API_KEY="sk-secret")
        self.assertEqual(code, 0, err)
        self.assertNotIn("sk-secret", out)
        self.assertIn("# api-key =  # environment FATHOM_API_KEY, not shown\n", out)

    def test_words_of_switches(self):
        for word, on in {"1": True, "True": True, "on": True, "YES": True,
                         "0": False, "false": False, "off": False, "no": False}.items():  # fmt: skip
            with self.subTest(word):
                values, _ = self.settings("serve", FATHOM_EXACT=word, FATHOM_PREFIX_CACHE=word)
                self.assertIs(values["exact"], on)
                self.assertEqual(values["prefix-cache"], "on" if on else "off")
        self.assertIn("FATHOM_EXACT: expected 1, 0,", self.refused("serve", FATHOM_EXACT="ja"))


class Mistakes(Settings):
    def test_of_the_file(self):
        cases = {
            "\n\nmax-runing = 1\n": "3: max-runing: no flag of any command; did you mean max-running?",
            "[serve]\nurl = 'x'\n": "2: url: no flag of fathom serve",
            'max-running = "many"\n': '1: max-running: expected a whole number, got the string "many"',
            "# note\nmax-running = 0\n": "2: max-running: expected a whole number from 1 to 4096, got 0",
            "exact = 'on'\n": '1: exact: expected true or false, got the string "on"',
            "kv-cache = 'fp8'\n": "1: kv-cache: expected auto, f32 or bf16, got fp8",
            "port = \n": "1: expected TOML: ",
        }
        for text, says in cases.items():
            with self.subTest(text):
                self.write(text)
                err = self.refused("serve", "--config", self.file)
                self.assertIn(f"fathom: {self.file}:{says}", err)

    def test_of_its_name(self):
        gone = os.path.join(self.directory.name, "gone.toml")
        self.assertIn(f"--config: {gone}: No such file", self.refused("serve", "--config", gone))
        self.assertIn(f"FATHOM_CONFIG: {gone}: No such", self.refused("chat", FATHOM_CONFIG=gone))
        self.assertIn("at most 1048576 bytes", self.refused("serve", "--config", "/dev/zero"))

    def test_keys_of_other_commands_are_theirs(self):
        self.write("url = 'http://x'\nprompt = [1]\nport = 1\n")
        values, _ = self.settings("serve", "--config", self.file)
        self.assertEqual(values["port"], 1)

    def test_doubtful_variables_are_told_once(self):
        code, _, err = fathom("serve", "--print-config", FATHOM_MAX_RUNING="1", FATHOM_OTHER_TOOL="1")
        self.assertEqual(code, 0)
        self.assertEqual(err.count("FATHOM_"), 2, err)
        self.assertIn("FATHOM_MAX_RUNING is no variable of fathom; did you mean FATHOM_MAX_RUNNING?",
                      err)  # fmt: skip

    def test_every_flag_has_a_variable(self):
        _, out, _ = fathom("serve", "--help")
        flags = set(re.findall(r"^  (?:-h, )?--([a-z-]+)", out, re.MULTILINE))
        settings = flags - {"help", "config", "print-config"}
        self.assertGreater(len(settings), 50)
        for flag in settings:
            with self.subTest(flag):
                variable = "FATHOM_" + flag.upper().replace("-", "_")
                needed = [] if flag == "dry-run" else ["--dry-run"]
                code, out, err = fathom("serve", *needed, "--print-config", **{variable: "1"})
                if code == 0:  # 1 is a value of it
                    self.assertIn(f"# environment {variable}\n", out)
                else:
                    self.assertIn(f"fathom: {variable}: expected ", err)


class OtherServers(Settings):
    def test_names_that_mean_the_same(self):
        cases = {
            ("--model-path", "m"): ("model", "m"),
            ("-m", "m"): ("model", "m"),
            ("m",): ("model", "m"),
            ("--max-model-len", "4096"): ("max-context", 4096),
            ("--context-length", "4096"): ("max-context", 4096),
            ("--served-model-name", "n"): ("model-name", "n"),
            ("--max-num-seqs", "7"): ("max-running", 7),
            ("--max-running-requests", "7"): ("max-running", 7),
            ("-np", "7"): ("max-running", 7),
            ("--ssl-keyfile", "k"): ("tls-key", "k"),
            ("--ssl-certfile", "c"): ("tls-cert", "c"),
            ("--enable-prefix-caching",): ("prefix-cache", "on"),
            ("--disable-radix-cache",): ("prefix-cache", "off"),
        }
        for words, (key, value) in cases.items():
            with self.subTest(words):
                values, _ = self.settings("serve", *words)
                self.assertEqual(values[key], value)

    def test_names_that_mean_something_else(self):
        cases = {
            ("-c", "4096"): "--max-context",
            ("--ctx-size", "4096"): "--max-context",
            ("--tensor-parallel-size", "8"): "--parallel tp=8, and start 8 ranks",
            ("--tp", "8"): "--parallel tp=8",
            ("--tp-size=8",): "--parallel tp=8",
            ("--pipeline-parallel-size", "2", "--tp", "4"): "--parallel pp=2,tp=4",
            ("--data-parallel-size", "2", "--enable-expert-parallel"): "--parallel dp=2",
            ("--gpu-memory-utilization", "0.9"): "--kv-memory",
            ("--mem-fraction-static", "0.8"): "--kv-memory",
            ("--parallel", "4"): "--max-running 4",
            ("--max-num-batched-tokens", "1"): "--prefill-chunk",
            ("--chunked-prefill-size", "1"): "--prefill-chunk",
            ("--quantization", "fp8"): "--weights",
            ("--kv-cache-dtype", "fp8"): "--kv-cache auto",
            ("--api-key", "k"): "--api-keys FILE",
            ("--root-path", "/x"): "not needed",
            ("--trust-remote-code",): "not needed",
            ("--tool-call-parser", "deepseek_v3"): "not needed",
            ("--reasoning-parser", "deepseek_r1"): "not needed",
            ("--enable-auto-tool-choice",): "not needed",
            ("-hf", "unsloth/DeepSeek-R1-GGUF"): "hf download",
        }
        for words, says in cases.items():
            with self.subTest(words):
                err = self.refused("serve", "m", *words)
                self.assertTrue(err.startswith(f"fathom: {words[0].partition('=')[0]}"), err)
                self.assertIn(says, err)

    def test_two_models_are_one_too_many(self):
        self.assertIn("got b; the model is a", self.refused("serve", "a", "b"))
        self.assertIn("got b; the model is a", self.refused("serve", "--model", "a", "b"))


class Models(Settings):
    def told(self, model, *words):
        """stderr of serve --check, which must end with code 1."""
        code, _, err = fathom("serve", model, "--check", *words)
        self.assertEqual(code, 1, err)
        return err

    def make(self, name, text=""):
        path = os.path.join(self.directory.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_a_hubs_name(self):
        for command in (["serve"], ["bench"], ["chat", "hello"], ["convert", "--out", "x"]):
            with self.subTest(command):
                code, _, err = fathom(*command, "--model", "deepseek-ai/DeepSeek-V3")
                self.assertEqual(code, 1, err)
                self.assertIn("hf download deepseek-ai/DeepSeek-V3 --local-dir DeepSeek-V3", err)
                self.assertIn("modelscope download", err)

    def test_a_gguf_file(self):
        err = self.told(self.make("x.gguf"))
        self.assertIn(f"fathom convert --model {self.directory.name}/x.gguf --out ", err)

    def test_another_architecture(self):
        config = {"model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"]}
        path = self.make("qwen/config.json", json.dumps(config))
        for words in ([], ["--dry-run"]):
            with self.subTest(words):
                err = self.told(os.path.dirname(path), *words)
                self.assertIn("Qwen3MoeForCausalLM", err)
                self.assertIn("deepseek_v3", err)

    def test_no_model_in_the_directory(self):
        self.assertIn("has no config.json", self.told(self.directory.name))
        path = self.make("models/tiny/config.json", "{}")
        err = self.told(os.path.join(self.directory.name, "models"))
        self.assertIn(f"did you mean {os.path.dirname(path)}?", err)

    def test_doctor_says_the_same(self):
        code, out, err = fathom("doctor", "--model", self.make("x.gguf"), "--port", "1")
        self.assertEqual(code, 1, err)
        self.assertIn("fathom convert --model", out)


class Documentation(Settings):
    """docs/configuration.md is what the binary knows."""

    def example(self):
        return re.search(r"^```toml\n(.*?)^```", document(), re.MULTILINE | re.DOTALL).group(1)

    def test_the_example_has_every_flag_of_serve(self):
        _, sources = self.settings("serve", "--dry-run")
        keys = re.findall(r"^(?:# ?)?([a-z][a-z-]*) = ", self.example(), re.MULTILINE)
        self.assertEqual(sorted(keys), sorted(sources))

    def test_the_example_is_right_and_its_comments_are_defaults(self):
        defaults, _ = self.settings("serve")
        self.write(self.example())
        values, _ = self.settings("serve", "--config", self.file)
        self.assertEqual(values["model"], "/models/DeepSeek-R1")
        commented = "\n".join(re.findall(r"^# ?([a-z][a-z-]* = [^#\n]*)", self.example(), re.MULTILINE))
        for key, value in tomllib.loads(commented).items():
            if key in defaults:
                self.assertEqual(value, defaults[key], key)

    def test_its_names_of_other_servers_are_known(self):
        names = re.findall(r"^\| (`-.*?) \|", document(), re.MULTILINE)
        self.assertGreater(len(names), 10)
        for name in re.findall(r"`(-[a-z-]+)", " ".join(names)):
            with self.subTest(name):
                _, _, err = fathom("serve", name, "1", "--print-config")
                self.assertNotIn("unknown flag", err)


if __name__ == "__main__":
    unittest.main()
