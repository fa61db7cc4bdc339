#include "sampling/logit_scan.h"

#include "base/isa.h"
#include "sampling/scan/scan.h"

namespace fathom::sampling {

std::vector<const LogitScan*> logit_scans() {
  std::vector<const LogitScan*> scans = {&portable::scan()};
#if defined(__x86_64__)
  if (has_avx2()) scans.push_back(&avx2::scan());
  if (has_avx512()) scans.push_back(&avx512::scan());
#endif
  return scans;
}

const LogitScan& logit_scan() {
  static const LogitScan& best = *logit_scans().back();
  return best;
}

}  // namespace fathom::sampling
