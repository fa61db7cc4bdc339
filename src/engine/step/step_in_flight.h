// A step that is scheduled or runs on the chip.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "engine/schedule/scheduler.h"
#include "engine/sequence/task.h"
#include "engine/step/draws.h"

namespace fathom::engine {

struct StepInFlight {
  // The rows of one task, and how many of their logits are drawn from and read.
  struct Part {
    Task* task = nullptr;  // null once the task has ended: its rows are surplus
    int64_t rows = 0;
    int64_t logit_rows = 0;
    int64_t draws = 0;
    int64_t rows_read = 0;
  };
  // Blocks of a task that ended while the step may still touch them.
  struct Pinned {
    int32_t replica = 0;
    std::vector<int32_t> blocks;
  };

  StepInFlight(int64_t max_parts, int64_t max_logit_rows, int64_t vocab_size)
      : draws(max_logit_rows, vocab_size) {
    parts.reserve(static_cast<size_t>(max_parts));
    pinned.reserve(static_cast<size_t>(max_parts));
  }

  void set(std::span<const Chunk> chunks) {
    for (const Chunk& chunk : chunks) {
      parts.push_back({chunk.sequence->task, chunk.rows, chunk.logit_rows, 0, 0});
    }
  }
  void clear() {
    parts.clear();
    pinned.clear();
    draws.clear();
  }

  // The task has ended. Whether it had rows in the step.
  bool forget(const Task& task) {
    const auto part = std::ranges::find(parts, &task, &Part::task);
    if (part == parts.end()) return false;
    part->task = nullptr;
    return true;
  }
  // Whether any task waits for the step.
  bool is_wanted() const {
    return std::ranges::any_of(parts, [](const Part& part) { return part.task != nullptr; });
  }

  bool in_flight = false;  // begun on the model and not finished
  std::chrono::steady_clock::time_point begun;
  std::vector<Part> parts;  // in the order of rows
  std::vector<Pinned> pinned;
  Draws draws;
};

}  // namespace fathom::engine
