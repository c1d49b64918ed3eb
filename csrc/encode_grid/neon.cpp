// Grid points with NEON.
#include "core/target.hpp"
#include "encode_grid/encode_grid.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
inline void try_scales(const int16_t* a, int64_t n, const uint16_t* scales, int shift, int most, int64_t* product,
                       int64_t* square) {
  const int16x8_t places = vdupq_n_s16(static_cast<int16_t>(-shift));
  const uint16x8_t one = vdupq_n_u16(1), bar = vdupq_n_u16(static_cast<uint16_t>(most));
  for (int i = 0; i < 4; ++i) {
    int32x4_t products = vdupq_n_s32(0), others = products;
    uint32x4_t squares = vdupq_n_u32(0);
    for (int64_t t = 0; t < n; t += 8) {
      const int16x8_t x = vld1q_s16(a + t);
      const uint16x8_t ux = vreinterpretq_u16_s16(x);
      const uint32x4_t low = vmull_n_u16(vget_low_u16(ux), scales[i]), high = vmull_n_u16(vget_high_u16(ux), scales[i]);
      const uint16x8_t top = vuzp2q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(high));
      const uint16x8_t m = vminq_u16(vorrq_u16(vshlq_u16(top, places), one), bar);
      const int16x8_t signed_m = vreinterpretq_s16_u16(m);
      products = vmlal_s16(products, vget_low_s16(x), vget_low_s16(signed_m));
      others = vmlal_high_s16(others, x, signed_m);
      squares = vmlal_u16(squares, vget_low_u16(m), vget_low_u16(m));
      squares = vmlal_high_u16(squares, m, m);
    }
    product[i] += vaddlvq_s32(products) + vaddlvq_s32(others);
    square[i] += static_cast<int64_t>(vaddlvq_u32(squares));
  }
}

#include "encode_grid/encode_grid.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<EncodeGrid> registered(Isa::neon, neon::encode_grid_rows);
}  // namespace vecpress

#endif
