// The tensor cores' products of whole numbers: 16 rows x 8 columns, 32 bytes deep, by a warp.
//
// Both kinds take the same bytes of the same lanes (PTX ISA, mma.m16n8k32 for s8, mma.m16n8k256 for b1). With g = lane / 4, t = lane % 4:
//
//   a[0] row g     bytes 4 t .. 4 t + 3      b[0] column g, bytes 4 t .. 4 t + 3        c[0] row g,     column 2 t
//   a[1] row g + 8 the same                  b[1] column g, bytes 16 + 4 t ..           c[1] row g,     column 2 t + 1
//   a[2] row g     bytes 16 + 4 t ..                                                    c[2] row g + 8, column 2 t
//   a[3] row g + 8 the same                                                             c[3] row g + 8, column 2 t + 1
#pragma once

#include "core/platform.cuh"

namespace vecpress::cuda {

enum class Product { kBits, kBytes };  // bits that both have; int8 times int8

#if defined(VECPRESS_EMULATE)

template <Product P>
inline void multiply(int (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  emulate::Warp& warp = emulate::warp();
  const int g = lane_id() / 4, t = lane_id() % 4;
  uint32_t* own = warp.words[lane_id()];
  std::copy(a, a + 4, own);
  std::copy(b, b + 2, own + 4);
  emulate::meet(emulate::Wait::kWarp, kAllLanes);
  for (int i = 0; i < 4; ++i) {
    const int column = 2 * t + (i & 1), high = i >> 1;
    for (int w = 0; w < 8; ++w) {
      const uint32_t x = warp.words[4 * g + w % 4][high + 2 * (w / 4)], y = warp.words[4 * column + w % 4][4 + w / 4];
      if (P == Product::kBits) c[i] += __popc(x & y);
      else if (x && y) c[i] = __dp4a(static_cast<int>(x), static_cast<int>(y), c[i]);
    }
  }
  emulate::meet(emulate::Wait::kWarp, kAllLanes);
}

#else

template <Product P>
__device__ __forceinline__ void multiply(int (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  if (P == Product::kBits) {
    asm volatile("mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
#else  // sm_75 has neither in this shape: launches choose the rows' kernel there
  (void)c, (void)a, (void)b;
#endif
}

#endif

}  // namespace vecpress::cuda
