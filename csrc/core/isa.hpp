// Instruction sets: their names, and whether this processor has them.
#pragma once

namespace vecpress {

enum class Isa {
#define VECPRESS_ISA(name, runs_here, needs) name,
#include "core/isa.def"
#undef VECPRESS_ISA
  count
};

constexpr int kIsaCount = static_cast<int>(Isa::count);

const char* isa_name(Isa isa);

// nullptr if the processor has the instruction set, else what it lacks.
const char* isa_missing(Isa isa);

}  // namespace vecpress
