// Bits that differ, counted: plain, and by carry-save adders, which need half of the population counts.
#pragma once

#include "core/platform.cuh"

namespace vecpress::cuda {

// A full adder for 32 columns of bits: a + b + c = 2 high + low.
__device__ __forceinline__ void add_bits(uint32_t a, uint32_t b, uint32_t c, uint32_t& high, uint32_t& low) {
  const uint32_t u = a ^ b;
  high = (a & b) | (u & c);
  low = u ^ c;
}

__device__ __forceinline__ uint32_t different(uint32_t a, uint32_t b, uint32_t mask) { return (a ^ b) & mask; }

__device__ __forceinline__ int count_four(const uint4& x) { return __popc(x.x) + __popc(x.y) + __popc(x.z) + __popc(x.w); }

// Bits of eight words by four counts: seven words make ones, twos and fours, the eighth stands alone.
__device__ __forceinline__ int count_eight(const uint4& a, const uint4& b) {
  uint32_t ones, twos_a, twos_b, twos_c, twos, fours;
  add_bits(a.x, a.y, a.z, twos_a, ones);
  add_bits(ones, a.w, b.x, twos_b, ones);
  add_bits(ones, b.y, b.z, twos_c, ones);
  add_bits(twos_a, twos_b, twos_c, fours, twos);
  return __popc(ones) + 2 * __popc(twos) + 4 * __popc(fours) + __popc(b.w);
}

__device__ __forceinline__ uint4 different_four(const uint4& a, const uint4& b, const uint4& mask) {
  return make_uint4(different(a.x, b.x, mask.x), different(a.y, b.y, mask.y), different(a.z, b.z, mask.z), different(a.w, b.w, mask.w));
}

}  // namespace vecpress::cuda
