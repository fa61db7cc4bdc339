#include "api/output/answer_memory.h"

#include <fmt/format.h>

namespace fathom::api {

namespace {

size_t mebibytes(size_t bytes) {
  return (bytes + (1 << 20) - 1) >> 20;
}

}  // namespace

Result<AnswerMemory::Hold> AnswerMemory::take(size_t bytes) {
  if (bytes > limit_) {
    return invalid_argument(
        fmt::format("top_logprobs: expected log-probabilities of at most {} MiB in an answer "
                    "(--answer-memory), got tokens and choices for up to {} MiB; ask for fewer, or "
                    "stream the answer",
                    mebibytes(limit_), mebibytes(bytes)),
        "top_logprobs");
  }
  size_t before = *taken_;
  do {
    if (before > limit_ - bytes) {
      return Error{ErrorCode::kResourceExhausted,
                   fmt::format("answers: expected {} MiB free for log-probabilities, got {}",
                               mebibytes(bytes), (limit_ - before) >> 20)};
    }
  } while (!taken_->compare_exchange_weak(before, before + bytes));
  return Hold(new size_t(bytes), [taken = taken_](const size_t* held) {
    *taken -= *held;
    delete held;
  });
}

}  // namespace fathom::api
