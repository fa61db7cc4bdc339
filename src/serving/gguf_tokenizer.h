// Tokenizers between a model directory's files and a GGUF file.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "models/files/gguf.h"

namespace fathom::serving {

// From tokenizer.json and, if they are there, tokenizer_config.json and chat_template.jinja. The
// error names the file and the field.
Status add_gguf_tokenizer(const std::map<std::string, std::string>& texts, int64_t vocab_size,
                          models::GgufHeader& header);

// The other way; files whose text is split in another way than DeepSeek-V3's are refused.
Result<std::map<std::string, std::string>> texts_of_gguf(const models::GgufFile& file);

}  // namespace fathom::serving
