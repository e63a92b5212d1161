#pragma once

#include <lowrank/core/types.hpp>

namespace lowrank::panel {

/// How the columns of a panel are cut: groups of as many vectors as the kernels take at most, as even as can be.
struct ColumnGroups {
  Index lanes, vectors, groups, width;

  ColumnGroups(Index k, Index lanes_of_vector, Index most_vectors)
      : lanes(lanes_of_vector),
        vectors((k + lanes - 1) / lanes),
        groups((vectors + most_vectors - 1) / most_vectors),
        width(vectors * lanes) {}
  /// Vectors before group g, and in it.
  Index first(Index g) const { return g * vectors / groups; }
  Index count(Index g) const { return first(g + 1) - first(g); }
};

}  // namespace lowrank::panel
