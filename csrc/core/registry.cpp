// The list that registrations write and Python reads.
#include "core/registry.hpp"

namespace vecpress {

std::vector<std::string>& registered_operations(Isa isa) {
  static std::vector<std::string> lists[kIsaCount];
  return lists[static_cast<int>(isa)];
}

}  // namespace vecpress
