// For tests of sampling: draws in the contract's words, as the CPU backend's tests make them.
#pragma once

#include "backends/cpu/testing/draw_lists.h"

namespace fathom::gpu::test {

using DrawLists = cpu::test::Lists;

}  // namespace fathom::gpu::test
