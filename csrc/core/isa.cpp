// Run-time detection of the instruction sets of isa.def.
#include "core/isa.hpp"

#if defined(__x86_64__)
#include <cpuid.h>

static bool has_f16c() {  // clang's cpu_supports does not know this one; its registers' state is AVX2's
  static const bool has = [] {  // asked once: a virtual machine takes microseconds to answer
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
  }();
  return has;
}

// The compiler's cpu_supports also asks the operating system whether it saves the wide registers.
#define VECPRESS_HAS_NEON false
#define VECPRESS_HAS_AVX2                                             \
  (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && \
   has_f16c() && __builtin_cpu_supports("popcnt"))
#define VECPRESS_HAS_AVX512                                                    \
  (VECPRESS_HAS_AVX2 && __builtin_cpu_supports("avx512f") &&                   \
   __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && \
   __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") && \
   __builtin_cpu_supports("avx512bitalg") && __builtin_cpu_supports("avx512vpopcntdq"))
#elif defined(__aarch64__)
#define VECPRESS_HAS_NEON true
#define VECPRESS_HAS_AVX2 false
#define VECPRESS_HAS_AVX512 false
#else
#define VECPRESS_HAS_NEON false
#define VECPRESS_HAS_AVX2 false
#define VECPRESS_HAS_AVX512 false
#endif

namespace vecpress {

const char* isa_name(Isa isa) {
  switch (isa) {
#define VECPRESS_ISA(name, runs_here, needs) \
  case Isa::name:                            \
    return #name;
#include "core/isa.def"
#undef VECPRESS_ISA
    default:
      return "";
  }
}

const char* isa_missing(Isa isa) {
  switch (isa) {
#define VECPRESS_ISA(name, runs_here, needs) \
  case Isa::name:                            \
    return (runs_here) ? nullptr : "the processor lacks " needs;
#include "core/isa.def"
#undef VECPRESS_ISA
    default:
      return "unknown instruction set";
  }
}

}  // namespace vecpress
