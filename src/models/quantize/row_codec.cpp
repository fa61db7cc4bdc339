#include "models/quantize/row_codec.h"

#include "base/instruction_sets.h"

namespace fathom::models {

// codec.cpp, compiled for each.
#define FATHOM_DECLARE_CODEC(isa) FATHOM_DECLARE_SET(isa, RowCodec, codec)
FATHOM_INSTRUCTION_SETS(FATHOM_DECLARE_CODEC)

std::vector<const RowCodec*> row_codecs() {
  std::vector<const RowCodec*> codecs;
#define FATHOM_ADD_CODEC(isa) \
  if (runs_##isa()) codecs.push_back(&isa::codec());
  FATHOM_INSTRUCTION_SETS(FATHOM_ADD_CODEC)
  return codecs;
}

}  // namespace fathom::models
