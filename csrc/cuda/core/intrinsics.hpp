// CUDA's built-in names and functions for threads that core/emulate.hpp runs: where a thread is, barriers, warps' exchanges, atomics, bits.
#pragma once

#include "core/emulate.hpp"

#define threadIdx (emulate::machine().thread)
#define blockIdx (emulate::machine().block)
#define blockDim (emulate::machine().block_dim)
#define gridDim (emulate::machine().grid)

inline void __syncthreads() { emulate::meet(emulate::Wait::kBlock); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { emulate::meet(emulate::Wait::kWarp, mask); }
inline void __threadfence() {}

template <class T>
inline T __shfl_sync(unsigned mask, T value, int from) {
  return emulate::exchange(mask, value, [&](auto at) { return at(from & 31); });
}
template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int by) {
  const int lane = emulate::lane();
  return emulate::exchange(mask, value, [&](auto at) { return at(lane ^ by); });
}
template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned by) {
  const int lane = emulate::lane(), from = lane - static_cast<int>(by);
  return emulate::exchange(mask, value, [&](auto at) { return at(from < 0 ? lane : from); });
}
template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned by) {
  const int lane = emulate::lane(), from = lane + static_cast<int>(by);
  return emulate::exchange(mask, value, [&](auto at) { return at(from > 31 ? lane : from); });
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  return emulate::exchange(mask, predicate ? 1u : 0u, [&](auto at) {
    unsigned out = 0;
    for (int i = 0; i < emulate::kWarp; ++i)
      if (mask >> i & 1) out |= at(i) << i;
    return out;
  });
}
template <class T>
inline unsigned __match_any_sync(unsigned mask, T value) {
  return emulate::exchange(mask, value, [&](auto at) {
    T out = 0;
    for (int i = 0; i < emulate::kWarp; ++i) out = static_cast<T>(out | static_cast<T>((mask >> i & 1) && at(i) == value) << i);
    return out;
  });
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == mask; }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline unsigned __brev(unsigned x) {
  unsigned out = 0;
  for (int i = 0; i < 32; ++i, x >>= 1) out = out << 1 | (x & 1);
  return out;
}
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned select) {
  const uint64_t both = uint64_t{b} << 32 | a;
  unsigned out = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned s = select >> 4 * i & 15, byte = static_cast<unsigned>(both >> 8 * (s & 7)) & 255;
    out |= (s & 8 ? (byte & 128 ? 255u : 0u) : byte) << 8 * i;
  }
  return out;
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((uint64_t{high} << 32 | low) >> (shift & 31));
}
inline unsigned __funnelshift_lc(unsigned low, unsigned high, unsigned shift) {  // shifts beyond 32 are 32
  return static_cast<unsigned>(((uint64_t{high} << 32 | low) << std::min(shift, 32u)) >> 32);
}
inline int __dp4a(int a, int b, int c) {
  for (int i = 0; i < 4; ++i)
    c += static_cast<int8_t>(static_cast<unsigned>(a) >> 8 * i) * static_cast<int8_t>(static_cast<unsigned>(b) >> 8 * i);
  return c;
}
inline unsigned __dp4a(unsigned a, unsigned b, unsigned c) {
  for (int i = 0; i < 4; ++i) c += (a >> 8 * i & 255) * (b >> 8 * i & 255);
  return c;
}
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fmaf(a, b, c); }
inline double __dmul_rn(double a, double b) { return a * b; }
inline unsigned __float_as_uint(float x) { unsigned u; std::memcpy(&u, &x, 4); return u; }
inline float __uint_as_float(unsigned u) { float x; std::memcpy(&x, &u, 4); return x; }

template <class T> inline T __ldg(const T* p) { return *p; }
template <class T> inline T atomicAdd(T* p, T x) { const T old = *p; *p = old + x; return old; }
template <class T>
inline T atomicMax(T* p, T x) { const T old = *p; *p = std::max(old, x); return old; }
template <class T>
inline T atomicMin(T* p, T x) { const T old = *p; *p = std::min(old, x); return old; }
template <class T>
inline T atomicOr(T* p, T x) { const T old = *p; *p = old | x; return old; }
template <class T>
inline T atomicExch(T* p, T x) { const T old = *p; *p = x; return old; }
template <class T>
inline T atomicCAS(T* p, T expected, T x) { const T old = *p; if (old == expected) *p = x; return old; }

using std::max;
using std::min;
