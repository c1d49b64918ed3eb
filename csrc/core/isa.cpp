// Run-time detection of the instruction sets of isa.def.
#include "core/isa.hpp"

#if defined(__x86_64__)
#include <cpuid.h>

// Asked here and not through the compiler's cpu_supports, which needs a run-time library that clang on Windows does not link, and whose
// list of features differs between compilers.
namespace {

struct Features {
  bool avx2, avx512;
};

Features ask() {
  unsigned a, b, c1 = 0, b7 = 0, c7 = 0, d;
  Features none{false, false};
  if (!__get_cpuid(1, &a, &b, &c1, &d)) return none;
  // FMA, POPCNT, OSXSAVE, AVX, F16C
  constexpr unsigned kAvx = 1u << 12 | 1u << 23 | 1u << 27 | 1u << 28 | 1u << 29;
  if ((c1 & kAvx) != kAvx || !__get_cpuid_count(7, 0, &a, &b7, &c7, &d)) return none;
  // which registers the operating system saves
  unsigned saved, high;
  __asm__ volatile("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
  constexpr unsigned kYmm = 0x06, kZmm = 0xe6;
  // F, DQ, BW, VL; then VBMI, VNNI, BITALG, VPOPCNTDQ
  constexpr unsigned kWide = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31, kMore = 1u << 1 | 1u << 11 | 1u << 12 | 1u << 14;
  const bool avx2 = (saved & kYmm) == kYmm && (b7 & 1u << 5);
  return {avx2, avx2 && (saved & kZmm) == kZmm && (b7 & kWide) == kWide && (c7 & kMore) == kMore};
}

const Features& features() {  // asked once: a virtual machine takes microseconds to answer
  static const Features here = ask();
  return here;
}

}  // namespace

#define VECPRESS_HAS_NEON false
#define VECPRESS_HAS_AVX2 (features().avx2)
#define VECPRESS_HAS_AVX512 (features().avx512)
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
