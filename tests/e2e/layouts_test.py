#!/usr/bin/python3
"""`fathom serve --dry-run` and `--parallel`, judged by arithmetic done here from config.json, and by
the headers of a checkpoint that is there.

FATHOM_BIN names the binary.
"""

import glob
import json
import os
import struct
import subprocess
import tempfile
import unittest

from server import REPOSITORY, fathom_binary

V3 = os.path.join(REPOSITORY, "tests", "data", "deepseek-v3-config.json")
TINY = os.path.join(REPOSITORY, "models", "tiny")
DEADLINE_S = 120
GB = 10**9
ITEM_BYTES = {"F32": 4, "BF16": 2, "F8_E4M3": 1}


def serve(*flags):
    """-> (exit code, stdout, stderr)."""
    done = subprocess.run(
        [fathom_binary(), "serve", *flags],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def plan(model, layout, *flags):
    code, out, err = serve("--dry-run", "--json", "--model", model, "--parallel", layout, *flags)
    if code != 0:
        raise AssertionError(f"{layout}: exit code {code}: {err}")
    return json.loads(out)


def fp8(rows, columns):
    """Bytes of an FP8 matrix with its scales."""
    return rows * columns + 4 * -(-rows // 128) * -(-columns // 128)


def v3_layer(heads, expert_count, dense_inner, shared_inner):
    """File bytes of one V3 layer's part with so many heads and experts; dense_inner 0: MoE."""
    attention = (
        fp8(1536, 7168) + fp8(heads * 192, 1536) + fp8(576, 7168)
        + fp8(heads * 256, 512) + fp8(7168, heads * 128)
    )  # fmt: skip
    norms = 2 * (2 * 7168 + 1536 + 512)
    if dense_inner:
        return attention + norms + 2 * fp8(dense_inner, 7168) + fp8(7168, dense_inner)
    router = 256 * 7168 * 2 + 256 * 4
    experts = expert_count * (2 * fp8(2048, 7168) + fp8(7168, 2048))
    shared = 2 * fp8(shared_inner, 7168) + fp8(7168, shared_inner)
    return attention + norms + router + experts + shared


def v3_end(vocabulary, layer):
    """File bytes of what lies behind the layers: norm, head and the MTP layer."""
    head = vocabulary * 7168 * 2
    mtp = 2 * head + 3 * 7168 * 2 + 7168 * 14336 * 2 + layer
    return head + 7168 * 2 + mtp


class DryRun(unittest.TestCase):
    def test_sixteen_chips_in_two_stages(self):
        done = plan(V3, "pp=2,dp=1,tp=8,ep=8", "--device-memory", "64GB")
        self.assertEqual(done["ranks"], 16)
        moe = v3_layer(16, 32, 0, 256)
        dense = v3_layer(16, 0, 18432 // 8, 0)
        vocabulary = 129280 // 8
        first, last = done["rank_groups"][0], done["rank_groups"][-1]
        self.assertEqual(first["ranks"], [[0, 7]])
        self.assertEqual(last["ranks"], [[9, 15]])
        layers = first["layers"][1] + 1
        self.assertEqual(last["layers"], [layers, 60])
        self.assertEqual(
            first["file_bytes"], vocabulary * 7168 * 2 + 3 * dense + (layers - 3) * moe
        )
        self.assertEqual(last["file_bytes"], (61 - layers) * moe + v3_end(vocabulary, moe))
        self.assertLess(abs(first["file_bytes"] - last["file_bytes"]), 2 * moe)
        self.assertEqual(first["kv_token_bytes"], layers * 576 * 2)
        self.assertEqual(last["kv_token_bytes"], (61 - layers + 1) * 576 * 2)
        for group in done["rank_groups"]:
            left = 64 * GB * 95 // 100 - group["weight_bytes"] - group["workspace_bytes"]
            self.assertEqual(group["kv_tokens"], left // (32 * group["kv_token_bytes"]) * 32)
        self.assertEqual(
            done["kv_tokens"], min(group["kv_tokens"] for group in done["rank_groups"])
        )

    def test_320_chips_with_an_expert_each(self):
        done = plan(V3, "dp=320,ep=320,redundant=64", "--device-memory", "64GB")
        (group,) = done["rank_groups"]
        self.assertEqual(group["ranks"], [[0, 319]])
        moe = v3_layer(128, 1, 0, 2048)
        dense = v3_layer(128, 0, 18432, 0)
        whole = 129280 * 7168 * 2
        self.assertEqual(group["file_bytes"], whole + 3 * dense + 58 * moe + v3_end(129280, moe))
        sent = done["sent_bytes_a_token"]
        self.assertAlmostEqual(sent["total"], 58 * 8 * 7168 * 3 * 319 / 320, places=3)
        self.assertEqual(done["kv_tokens"], 320 * group["kv_tokens"])

    def test_a_ranks_tensors_add_up_to_its_line(self):
        flags = ("--device-memory", "64GB")
        line = plan(V3, "dp=8,tp=4,ep=32,redundant=32", *flags)["rank_groups"][0]
        rank = plan(V3, "dp=8,tp=4,ep=32,redundant=32", "--rank", "0", *flags)
        self.assertEqual(len(rank["experts"]), 9)
        self.assertEqual(len(rank["tensors"]), line["tensors"])
        self.assertEqual(sum(t["file_bytes"] for t in rank["tensors"]), line["file_bytes"])
        self.assertEqual(sum(t["loaded_bytes"] for t in rank["tensors"]), line["weight_bytes"])

    def test_parts_are_those_of_the_checkpoint(self):
        """Every tensor of the embedded model, from its files' headers, is read as often as it
        should be by four ranks."""
        shapes = {}
        for path in glob.glob(os.path.join(TINY, "*.safetensors")):
            with open(path, "rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                shapes |= json.loads(file.read(length))
        shapes.pop("__metadata__")
        scales = {name for name in shapes if name.endswith("_scale_inv")}
        read = {}
        for rank in range(4):
            for tensor in plan(TINY, "pp=2,dp=2,ep=2", "--rank", str(rank))["tensors"]:
                shape = shapes[tensor["name"]]["shape"]
                ranges = [tensor["rows"]] + ([tensor["columns"]] if "columns" in tensor else [])
                self.assertEqual(ranges, [[0, size - 1] for size in shape], tensor["name"])
                size = ITEM_BYTES[shapes[tensor["name"]]["dtype"]]
                for extent in shape:
                    size *= extent
                scale = shapes.get(tensor["name"] + "_scale_inv")
                if scale:
                    size += 4 * scale["shape"][0] * scale["shape"][1]
                self.assertEqual(tensor["file_bytes"], size, tensor["name"])
                read[tensor["name"]] = read.get(tensor["name"], 0) + 1
        expected = {name: 1 if ".experts." in name else 2 for name in shapes if name not in scales}
        self.assertEqual(read, expected)

    def test_auto_fits_and_the_least_memory_is_the_least(self):
        for ranks in (16, 32, 320):
            with self.subTest(ranks=ranks):
                auto = plan(V3, "auto", "--ranks", str(ranks), "--device-memory", "64GB")
                self.assertEqual(auto["ranks"], ranks)
                self.assertGreater(auto["kv_tokens"], 0)
                least = auto["least_memory"]
                same = plan(V3, auto["layout"], "--device-memory", str(least))
                self.assertGreater(same["kv_tokens"], 0)
                code, _, err = serve("--dry-run", "--model", V3, "--parallel", auto["layout"],
                                     "--device-memory", str(least - 2))  # fmt: skip
                self.assertEqual(code, 1)
                self.assertIn("the model does not fit", err)

    def test_the_table_is_for_people(self):
        code, out, _ = serve("--dry-run", "--model", V3, "--parallel", "pp=2,tp=8",
                             "--device-memory", "64GB")  # fmt: skip
        self.assertEqual(code, 0)
        for text in ("pp=2,dp=1,tp=8,ep=8 on 16 ranks of 64.0 GB", "0-7", "9-15", "688.6 GB in"):
            self.assertIn(text, out)

    def test_config_says_the_same_as_the_files(self):
        from_files = plan(TINY, "pp=2,dp=2", "--device-memory", "1GiB")
        from_config = plan(os.path.join(TINY, "config.json"), "pp=2,dp=2",
                           "--device-memory", str(2**30))  # fmt: skip
        self.assertEqual({**from_files, "model": ""}, {**from_config, "model": ""})

    def test_converted_files_are_read_as_they_are(self):
        """Converting to FP8 takes the head with it, which config.json does not say."""
        with tempfile.TemporaryDirectory() as temporary:
            out = os.path.join(temporary, "fp8")
            command = [fathom_binary(), "convert", "--model", TINY, "--weights", "fp8", "--out", out]
            subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE_S)
            tensors = {t["name"]: t for t in plan(out, "pp=1", "--rank", "0")["tensors"]}
            self.assertEqual(tensors["lm_head.weight"]["stored"], "f8_e4m3")
            self.assertEqual(tensors["lm_head.weight"]["file_bytes"], fp8(1280, 192))


class Refusals(unittest.TestCase):
    def refused(self, *flags):
        code, out, err = serve(*flags)
        self.assertEqual(code, 1, f"{flags}: {out}{err}")
        self.assertEqual(out, "")
        return err

    def test_what_does_not_divide_is_named_with_the_nearest(self):
        cases = {
            "tp=48": "tp=48: expected a divisor of the model's 128 attention heads",
            "tp=32": "the nearest is 16",
            "dp=320": "redundant=64",
            "dp=2,tp=8,ep=6": "the nearest are 4 and 8",
            "pp=62": "pp=62: expected at most the model's 61 layers",
        }
        for layout, says in cases.items():
            with self.subTest(layout):
                self.assertIn(
                    says, self.refused("--dry-run", "--model", V3, "--parallel", layout)
                )

    def test_ranks_must_be_the_layouts(self):
        err = self.refused("--dry-run", "--model", V3, "--parallel", "pp=2,tp=4", "--ranks", "16")
        self.assertIn("dp=2 makes it 16", err)

    def test_auto_says_what_is_needed(self):
        err = self.refused("--dry-run", "--model", V3, "--parallel", "auto", "--ranks", "4",
                           "--device-memory", "64GB")  # fmt: skip
        self.assertRegex(err, r"expected [0-9.]+ GB of memory a rank for this model on 4 ranks")

    def test_several_ranks_need_a_launcher(self):
        err = self.refused("--model", TINY, "--parallel", "dp=2")
        self.assertIn("mpirun -n 2 fathom serve", err)
        self.assertIn("tp=4", self.refused("--model", TINY, "--parallel", "tp=4"))

    def test_one_rank_is_served(self):
        code, out, err = serve("--model", TINY, "--parallel", "pp=1,dp=1,tp=1,ep=1", "--check")
        self.assertEqual(code, 0, err)
        self.assertIn("is good", out)

    def test_flags_of_plans_belong_to_plans(self):
        code, _, err = serve("--model", TINY, "--ranks", "2")
        self.assertEqual(code, 2)
        self.assertIn("--dry-run", err)

    def test_bad_configs_are_refused(self):
        with open(V3, encoding="utf-8") as file:
            config = json.load(file)
        config["num_hidden_layers"] = 4096
        config["n_routed_experts"] = 16384
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(config, file)
            file.flush()
            err = self.refused("--dry-run", "--model", file.name, "--parallel", "tp=8")
            self.assertIn("at most 4 million tensors", err)


if __name__ == "__main__":
    unittest.main()
