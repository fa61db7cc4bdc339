// Tells a model's thoughts from its answer: what stands before </think> is thought, if the prompt
// ended within <think> or the model opened it first.
#pragma once

#include <string>
#include <vector>

#include "api/markers.h"

namespace fathom::api {

class ReasoningParser {
 public:
  struct Part {
    bool reasoning;
    Piece piece;
  };

  explicit ReasoningParser(bool starts_in_thought)
      : state_(starts_in_thought ? State::kThought : State::kStart),
        drop_line_breaks_(starts_in_thought) {}

  // Line breaks right after <think> and </think> belong to neither part and are dropped.
  void feed(Piece piece, std::vector<Part>& out);
  void flush(std::vector<Part>& out);

  bool in_thought() const { return state_ == State::kThought; }

 private:
  enum class State {
    kStart,  // white space only so far: <think> may still come
    kThought,
    kAnswer,
  };
  void emit(Piece piece, std::vector<Part>& out);

  State state_;
  bool drop_line_breaks_;
  std::string white_space_;  // held back in kStart
};

}  // namespace fathom::api
