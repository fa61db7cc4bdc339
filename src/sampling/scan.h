// scan.cpp, compiled once for each of these instruction sets.
#pragma once

#include "sampling/logit_scan.h"

namespace fathom::sampling {

namespace portable {
const LogitScan& scan();
}
namespace avx2 {
const LogitScan& scan();
}
namespace avx512 {
const LogitScan& scan();
}

}  // namespace fathom::sampling
