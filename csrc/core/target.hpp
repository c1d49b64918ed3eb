// Target regions: code between VECPRESS_BEGIN_<ISA> and VECPRESS_END may use that instruction set, the rest of the file and of the
// build may not. So no -march flag is needed, and no template of the standard library is ever compiled for a wider machine than the
// baseline (the linker could pick that copy for everyone). Rules for a region: everything in an anonymous namespace, no standard
// library inside, no static objects.
#pragma once

#define VECPRESS_PRAGMA(text) _Pragma(#text)

#if defined(__clang__)
#define VECPRESS_BEGIN(features) \
  VECPRESS_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define VECPRESS_END _Pragma("clang attribute pop")
#else
// gcc's own intrinsics trip over -Wmaybe-uninitialized and -Wuninitialized (gcc bug 105593)
#define VECPRESS_BEGIN(features)                                                                                \
  _Pragma("GCC push_options") VECPRESS_PRAGMA(GCC target(features)) _Pragma("GCC diagnostic push") \
  _Pragma("GCC diagnostic ignored \"-Wmaybe-uninitialized\"") _Pragma("GCC diagnostic ignored \"-Wuninitialized\"")
#define VECPRESS_END _Pragma("GCC diagnostic pop") _Pragma("GCC pop_options")
#endif

#if defined(__x86_64__)
#include <immintrin.h>
#if defined(_WIN32) && defined(__clang__) && __clang_major__ < 21
// there immintrin.h leaves out, as Microsoft's need not, what the whole file is not compiled for
#include <pmmintrin.h>
#include <tmmintrin.h>
#include <smmintrin.h>
#include <popcntintrin.h>
#include <avxintrin.h>
#include <avx2intrin.h>
#include <f16cintrin.h>
#include <fmaintrin.h>
#include <avx512fintrin.h>
#include <avx512vlintrin.h>
#include <avx512bwintrin.h>
#include <avx512bitalgintrin.h>
#include <avx512vnniintrin.h>
#include <avx512vlvnniintrin.h>
#include <avx512vlbitalgintrin.h>
#include <avx512vpopcntdqintrin.h>
#include <avx512vpopcntdqvlintrin.h>
#include <avx512dqintrin.h>
#include <avx512vlbwintrin.h>
#include <avx512vldqintrin.h>
#include <avx512vbmiintrin.h>
#include <avx512vbmivlintrin.h>
#endif
#define VECPRESS_BEGIN_AVX2 VECPRESS_BEGIN("avx2,fma,f16c,popcnt")
#define VECPRESS_BEGIN_AVX512 \
  VECPRESS_BEGIN("avx2,fma,f16c,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512bitalg,avx512vpopcntdq,avx512vnni")
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
