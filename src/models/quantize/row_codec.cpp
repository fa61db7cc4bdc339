#include "models/quantize/row_codec.h"

#include "base/instruction_sets.h"
#include "models/quantize/codec.h"

namespace fathom::models {

std::vector<const RowCodec*> row_codecs() {
  std::vector<const RowCodec*> codecs = {&portable::codec()};
#if defined(__x86_64__)
  if (has_avx2()) codecs.push_back(&avx2::codec());
  if (has_avx512()) codecs.push_back(&avx512::codec());
#endif
  return codecs;
}

}  // namespace fathom::models
