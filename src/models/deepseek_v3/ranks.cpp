#include "models/deepseek_v3/ranks.h"

namespace fathom::models::deepseek_v3 {

Result<Ranks> Ranks::join(comm::Group& world, const Layout& layout) {
  Ranks ranks;
  if (layout.ranks() == 1) return ranks;
  ranks.world = &world;
  const RankPlace place = place_of(layout, world.rank());
  const auto tokens_here = static_cast<int>(place.stage * layout.dp + place.data);
  const auto slices_here = static_cast<int>(place.stage * layout.slices() + place.slice);
  if (layout.tp > 1) {
    FATHOM_ASSIGN(ranks.tensor, world.split({-1, "tensor_group", {}}, tokens_here,
                                            static_cast<int>(place.tensor)));
  }
  if (layout.dp > 1) {
    FATHOM_ASSIGN(ranks.expert, world.split({-1, "expert_group", {}}, slices_here,
                                            static_cast<int>(place.expert)));
  }
  return ranks;
}

}  // namespace fathom::models::deepseek_v3
