// Tells a model's thoughts from its answer: what stands before </think> is thought, if the prompt
// ended within <think> or the model opened it first. A call that is begun within a thought is part
// of the answer, and the thought goes on behind it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/text/markers.h"

namespace fathom::api {

struct ReasoningOptions {
  bool calls_in_thought = false;  // calls are looked for there
  // Whether a first </think> without <think> ends a thought: the text before it then was no part of
  // the answer. Otherwise that mark is text.
  bool closes_unopened = false;
  bool behind_thought = false;    // the prompt ended with a thought that is closed
  bool keep_line_breaks = false;  // of an answer that is text of a given form
};

class ReasoningParser {
 public:
  struct Part {
    bool reasoning;
    Piece piece;
  };

  explicit ReasoningParser(bool starts_in_thought, ReasoningOptions options = {})
      : options_(options),
        state_(starts_in_thought ? State::kThought : State::kStart),
        drop_line_breaks_(starts_in_thought ||
                          (options.behind_thought && !options.keep_line_breaks)) {}

  // Line breaks right after <think> and </think> belong to neither part and are dropped.
  void feed(Piece piece, std::vector<Part>& out);
  void flush(std::vector<Part>& out);

  bool in_thought() const { return state_ == State::kThought && !call_end_; }
  // Whether the parts of the answer that came before its last ones were a thought.
  bool closed_unopened() const { return closed_unopened_; }

 private:
  enum class State {
    kStart,  // white space only so far: <think> may still come
    kThought,
    kAnswer,
  };
  void emit(Piece piece, std::vector<Part>& out);
  void begin_answer();
  bool take_call(Piece& piece, std::vector<Part>& out);

  ReasoningOptions options_;
  State state_;
  std::optional<Marker> call_end_;  // of the call within the thought
  bool closed_ = false;             // a thought
  bool closed_unopened_ = false;
  bool drop_line_breaks_;
  std::string white_space_;  // held back in kStart
};

}  // namespace fathom::api
