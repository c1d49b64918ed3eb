// Scan of trellis codes with NEON.
#include "core/target.hpp"
#include "pack_codes/pack_codes.hpp"
#include "trellis/trellis.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

#include "core/scan.inl"

#include "core/bounds.inl"

#include "core/screen.inl"

#include "pack_codes/planes.inl"

constexpr int kQueriesAtOnce = 4;
inline int largest_factor(int) { return 127; }
constexpr int kLargestNumber = 255;

struct Ring {
  template <int kRate>
  static Bytes windows(Bytes a, Bytes b, int shift) {
    const uint32x4_t x = vorrq_u32(vshlq_u32(vreinterpretq_u32_u8(a.v), vdupq_n_s32(-shift)), vshlq_u32(vreinterpretq_u32_u8(b.v), vdupq_n_s32(32 - shift)));
    const uint32x4_t first = vandq_u32(x, vdupq_n_u32(0x3f)), second = vandq_u32(vshlq_n_u32(x, 8 - kRate), vdupq_n_u32(0x3f00));
    const uint32x4_t third = vandq_u32(vshlq_n_u32(x, 16 - 2 * kRate), vdupq_n_u32(0x3f0000));
    const uint32x4_t fourth = vandq_u32(vshlq_n_u32(x, 24 - 3 * kRate), vdupq_n_u32(0x3f000000));
    return {vreinterpretq_u8_u32(vorrq_u32(vorrq_u32(first, second), vorrq_u32(third, fourth)))};
  }
};

struct WindowTable {
  uint8x16x4_t v;
  explicit WindowTable(const uint8_t* p) : v(vld1q_u8_x4(p)) {}
  Bytes lookup(Bytes windows) const { return {vqtbl4q_u8(v, windows.v)}; }
};

#include "dot/numbers.inl"

#include "dot/products.inl"

#include "dot/exact.inl"

#include "dot/dot.inl"

#include "trellis/trellis.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<Trellis> registered(Isa::neon, {neon::scan_trellis, neon::screen_row, neon::row_bytes,
                                                     neon::settle<neon::TrellisSums>, neon::prepare_trellis, neon::kTogether});
}  // namespace vecpress

#endif
