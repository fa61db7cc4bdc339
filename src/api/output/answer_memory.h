// Memory for answers that are kept until they are whole. What a request could come to take is
// charged before it runs, so that no number of requests takes more. Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "base/result.h"

namespace fathom::api {

class AnswerMemory {
 public:
  explicit AnswerMemory(size_t bytes) : limit_(bytes) {}

  // Given back when the last copy goes, which may be after this. Errors: kInvalidArgument where
  // no request may take so much, kResourceExhausted where others have it now.
  using Hold = std::shared_ptr<const size_t>;
  Result<Hold> take(size_t bytes);

  size_t taken() const { return *taken_; }

 private:
  const size_t limit_;
  const std::shared_ptr<std::atomic<size_t>> taken_ = std::make_shared<std::atomic<size_t>>(0);
};

}  // namespace fathom::api
