// Kernels register themselves: one static Register object a kernel, outside every target region.
#pragma once

#include <string>
#include <vector>

#include "core/isa.hpp"

namespace vecpress {

// Names of the operations that have a kernel for an instruction set.
std::vector<std::string>& registered_operations(Isa isa);

// The kernels of one operation, by instruction set. Op is a type that holds the operation's `name` and its kernels' type `Kernel`.
template <class Op>
struct Kernels {
  static typename Op::Kernel& of(Isa isa) {
    static typename Op::Kernel table[kIsaCount] = {};
    return table[static_cast<int>(isa)];
  }
  static bool& registered(Isa isa) {
    static bool table[kIsaCount] = {};
    return table[static_cast<int>(isa)];
  }
};

template <class Op>
struct Register {
  Register(Isa isa, typename Op::Kernel kernel) {
    Kernels<Op>::of(isa) = kernel;
    Kernels<Op>::registered(isa) = true;
    registered_operations(isa).push_back(Op::name);
  }
};

}  // namespace vecpress
