// codec.cpp, compiled once for each of these instruction sets.
#pragma once

#include "models/quantize/row_codec.h"

namespace fathom::models {

namespace portable {
const RowCodec& codec();
}
namespace avx2 {
const RowCodec& codec();
}
namespace avx512 {
const RowCodec& codec();
}

}  // namespace fathom::models
