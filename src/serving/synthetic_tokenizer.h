// A tokenizer for models that have random weights and so no text: the bytes, and fillers.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace fathom::serving {

inline constexpr const char* kSyntheticBos = "<｜begin▁of▁sentence｜>";
inline constexpr const char* kSyntheticEos = "<｜end▁of▁sentence｜>";
// A chat template in as few words as a conversation needs.
inline constexpr const char* kSyntheticChatTemplate =
    "{{ bos_token }}{% for message in messages %}{{ message.role }}: {{ message.content or '' }}\n"
    "{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}";

// tokenizer.json and tokenizer_config.json of `vocab_size` (300 or more) tokens.
std::map<std::string, std::string> synthetic_tokenizer(int64_t vocab_size);

}  // namespace fathom::serving
