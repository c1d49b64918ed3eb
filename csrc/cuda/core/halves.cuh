// The tensor cores' products of float16: 16 rows x 8 columns, 16 deep, by a warp, summed in float32. And numbers as float16.
//
// With g = lane / 4, t = lane % 4 (PTX ISA, mma.m16n8k16), a register holding two neighbours along the depth:
//
//   a[0] row g     depth 2 t, 2 t + 1        b[0] column g, depth 2 t, 2 t + 1        c[0] row g,     column 2 t
//   a[1] row g + 8 the same                  b[1] column g, depth 2 t + 8, 2 t + 9    c[1] row g,     column 2 t + 1
//   a[2] row g     depth 2 t + 8, 2 t + 9                                             c[2] row g + 8, column 2 t
//   a[3] row g + 8 the same                                                           c[3] row g + 8, column 2 t + 1
//
// Products of float16 are exact in float32. In what order they are summed, and whether what falls off is rounded or cut, nobody says. What holds
// whichever way: all 17 terms are cut at 2^-23 of the largest magnitude among them and their sums, or more finely, and so is the result. With S
// at least the sum of the terms' magnitudes a product adds an error of at most 18 * 2^-23 S; kSumError is a third more.
#pragma once

#include "core/platform.cuh"

namespace vecpress::cuda {

constexpr float kSumError = 24 * 0x1p-23f;      // of S, for every 16 deep
constexpr float kHalfError = 0x1p-11f;          // a float16 differs from its number by so much of it,
constexpr float kHalfSmallest = 0x1p-25f;       // or by so much
constexpr uint32_t kHalfOne = 0x3c00;

#if defined(VECPRESS_EMULATE)

inline uint32_t to_half(float x) {
  const uint32_t bits = __float_as_uint(x), sign = bits >> 16 & 0x8000;
  const float size = std::fabs(x);
  if (!(size < 65520.0f)) return sign | (size == size ? 0x7c00 : 0x7e00);
  if (size < 0x1p-14f) return sign | static_cast<uint32_t>(std::nearbyint(size * 0x1p24f));
  const uint32_t from = bits & 0x7fffffff;
  return sign | (((from + 0xfff + (from >> 13 & 1)) >> 13) - (112u << 10));
}
inline float from_half(uint32_t h) {
  const uint32_t exponent = h >> 10 & 31, fraction = h & 1023;
  const double size = exponent == 31 ? (fraction ? std::nan("") : INFINITY)
                      : exponent     ? std::ldexp(1024.0 + fraction, static_cast<int>(exponent) - 25)
                                     : std::ldexp(static_cast<double>(fraction), -24);
  return static_cast<float>(h & 0x8000 ? -size : size);
}
inline uint32_t two_halves(float low, float high) { return to_half(low) | to_half(high) << 16; }

// As coarse as a device may be: every term and the result are cut.
inline void multiply_halves(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  uint32_t rows[16][8], columns[8][8];
  for (int i = 0; i < 6; ++i) {
    const uint32_t own = i < 4 ? a[i] : b[i - 4];
    emulate::exchange(kAllLanes, own, [&](auto at) {
      for (int lane = 0; lane < 32; ++lane) {
        const int g = lane / 4, t = lane % 4;
        if (i < 4) {
          rows[g + 8 * (i & 1)][t + 4 * (i >> 1)] = at(lane);
        } else {
          columns[g][t + 4 * (i - 4)] = at(lane);
        }
      }
      return own;
    });
  }
  const int g = lane_id() / 4, t = lane_id() % 4;
  for (int i = 0; i < 4; ++i) {
    const uint32_t *row = rows[g + 8 * (i >> 1)], *column = columns[2 * t + (i & 1)];
    double terms[17] = {c[i]}, largest = std::fabs(c[i]);
    for (int k = 0; k < 16; ++k) {
      terms[k + 1] = static_cast<double>(from_half(row[k / 2] >> 16 * (k % 2) & 0xffff)) * from_half(column[k / 2] >> 16 * (k % 2) & 0xffff);
      largest = std::max(largest, std::fabs(terms[k + 1]));
    }
    if (!(largest > 0 && largest < 1e300)) {
      for (int k = 1; k < 17; ++k) c[i] += static_cast<float>(terms[k]);
      continue;
    }
    const double grain = std::ldexp(1.0, std::ilogb(largest) - 23);
    double sum = 0;
    for (const double term : terms) sum += std::trunc(term / grain) * grain;
    const double cut = sum == 0 ? 1.0 : std::ldexp(1.0, std::ilogb(sum) - 23);
    c[i] = static_cast<float>(std::trunc(sum / cut) * cut);
  }
}

#else

__device__ __forceinline__ uint32_t two_halves(float low, float high) {
#if __CUDA_ARCH__ >= 800
  uint32_t out;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
  return out;
#else
  uint16_t a, b;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(a) : "f"(low));
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(b) : "f"(high));
  return a | static_cast<uint32_t>(b) << 16;
#endif
}
__device__ __forceinline__ float from_half(uint32_t h) {
  float out;
  asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"(static_cast<uint16_t>(h)));
  return out;
}
__device__ __forceinline__ void multiply_halves(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else  // sm_75 has another shape alone: launches do without there
  (void)c, (void)a, (void)b;
#endif
}

#endif

}  // namespace vecpress::cuda
