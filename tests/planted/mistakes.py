"""What a host may do wrong with a chip whose memory is not its own: each a small change of the code,
and the test that has to notice it on cpu-discrete. `old` occurs once in its file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    name: str
    file: str
    old: str
    new: str
    target: str  # to build, and to run
    tests: str  # of it, as --gtest_filter


MODEL = "src/models/deepseek_v3/"
ENGINE = "src/engine/"

MISTAKES = [
    Mistake(
        "device memory is read by the host",
        MODEL + "step/staging.h",
        "return is_in_place(*device_) ? memory : static_cast<T*>(copy_.data());",
        "return memory;",
        "chips_test",
        "*",
    ),
    Mistake(
        "weights are written where they lie on the chip",
        MODEL + "loading/weight_loader.cpp",
        "if (device_.host_memory()) return fill(plan, plan.rows);",
        "return fill(plan, plan.rows);",
        "chips_test",
        "*",
    ),
    Mistake(
        "a weight's rows end before their copy has run",
        MODEL + "loading/weight_loader.cpp",
        "return device_.synchronize();  // the caller's memory ends",
        "return {};",
        "chips_test",
        "*",
    ),
    Mistake(
        "a table of experts ends before its copy has run",
        MODEL + "weights/expert_table.cpp",
        "FATHOM_TRY(device.synchronize());  // `table` ends here",
        "",
        "chips_test",
        "*",
    ),
    Mistake(
        "an expert that moved keeps its old address",
        MODEL + "weights/expert_table.cpp",
        "FATHOM_TRY(device.copy_to_device(moe.table + number, &entry, sizeof(entry)));",
        "",
        "graphs_test",
        "*",
    ),
    Mistake(
        "results are read before they are there",
        MODEL + "step/step_results.cpp",
        "return device_->wait_for(fetched_);",
        "return {};",
        "chips_test",
        "*",
    ),
    Mistake(
        "the event is recorded before what it stands for",
        MODEL + "model_steps.cpp",
        "      FATHOM_TRY(results_.fetch_logits(read));\n    }\n    return results_.mark();",
        "    }\n    FATHOM_TRY(results_.mark());\n    return results_.fetch_logits(read);",
        "steps_test",
        "*",
    ),
    Mistake(
        "two steps in flight share one buffer of metadata",
        MODEL + "model.cpp",
        "  turn_ = (turn_ + 1) % metadata_.size();\n  FATHOM_TRY(metadata_[turn_].upload_padded",
        "  turn_ = 0;\n  FATHOM_TRY(metadata_[turn_].upload_padded",
        "steps_test",
        "*",
    ),
    Mistake(
        "a step replays the tables of the one before",
        MODEL + "step/step_metadata.cpp",
        "  return put(layout, write_list(layout, kGenerated, batch.generated, 0));",
        "  (void)write_list(layout, kGenerated, batch.generated, 0);\n  return {};",
        "graphs_test",
        "*",
    ),
    Mistake(
        "padding rows are counted as rows",
        MODEL + "step/step_metadata.cpp",
        "  write_padding(layout, rows, bucket.rows);",
        "  write_padding(layout, rows, bucket.rows);\n"
        "  *host<int32_t>(layout.rows) = static_cast<int32_t>(bucket.rows);",
        "graphs_test",
        "*",
    ),
    Mistake(
        "padding rows write into a live block",
        MODEL + "step/step_metadata.cpp",
        "int64_t slot = limits_.num_kv_blocks * limits_.kv_block_size;",
        "int64_t slot = 0;",
        "graphs_test",
        "*",
    ),
    Mistake(
        "the lists of given sequences keep their counts under replay",
        MODEL + "step/step_metadata.cpp",
        "    host<int32_t>(layout.counts)[list] = 0;",
        "    (void)list;",
        "graphs_test",
        "*",
    ),
    Mistake(
        "drawn tokens do not reach the next step",
        MODEL + "model.cpp",
        "  if (std::ranges::none_of(batch.tokens, is_drawn)) return {};",
        "  if (std::ranges::none_of(batch.tokens, is_drawn) || in_flight_ == 1) return {};",
        "steps_test",
        "*",
    ),
    Mistake(
        "blocks are read from the cache before they are there",
        MODEL + "kv_blocks.cpp",
        "  FATHOM_TRY(device_.synchronize());\n  if (each.rope > 0) join_planes",
        "  if (each.rope > 0) join_planes",
        "chips_test",
        "*",
    ),
    Mistake(
        "a mask is one step late",
        ENGINE + "step/draws.cpp",
        "  guide.fill_mask(mask);\n",
        "  static bool late = false;\n  if (!late) guide.fill_mask(mask);\n  late = !late;\n",
        "engine_test",
        "*Grammar*:*Guide*",
    ),
    Mistake(
        "penalties are one step late",
        ENGINE + "step/draws.cpp",
        "sequence.tokens.data(), static_cast<size_t>(length));",
        "sequence.tokens.data(), static_cast<size_t>(std::max(length - 1, sequence.prompt_size)));",
        "engine_test",
        "*",
    ),
    Mistake(
        "blocks of a step in flight become free when their owner ends",
        ENGINE + "loop/step_loop_results.cpp",
        "if (!step.forget(task) || !step.in_flight) continue;",
        "if (!step.forget(task) || step.in_flight) continue;",
        "engine_test",
        "*",
    ),
    Mistake(
        "pinned blocks become free before their step is done",
        ENGINE + "loop/step_loop.cpp",
        "  if (going.ok()) going = begin_ahead();",
        "  for (const auto& pinned : steps_[0].pinned) schedulers_.unpin(pinned.replica, "
        "pinned.blocks);\n  steps_[0].pinned.clear();\n  if (going.ok()) going = begin_ahead();",
        "engine_test",
        "*",
    ),
    Mistake(
        "a surplus token is sent",
        ENGINE + "step/step_in_flight.h",
        "    part->task = nullptr;\n    return true;",
        "    return true;",
        "engine_test",
        "*",
    ),
    Mistake(
        "a token that was drawn counts twice in the next step",
        ENGINE + "step/look_ahead.h",
        "      sequence.computed -= part.rows;",
        "      sequence.computed -= part.draws > 0 ? 0 : part.rows;",
        "engine_test",
        "*",
    ),
]
