// A tokenizer for models that have random weights and so no text: the bytes, and fillers.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace fathom::cli {

// tokenizer.json and tokenizer_config.json of `vocab_size` (300 or more) tokens.
std::map<std::string, std::string> synthetic_tokenizer(int64_t vocab_size);

}  // namespace fathom::cli
