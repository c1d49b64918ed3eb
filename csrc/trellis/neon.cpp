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
  template <int kWindow, int kRate>
  static Bytes windows(Bytes a, Bytes b, int shift) {
    constexpr uint32_t mask = (1 << kWindow) - 1;
    const uint32x4_t x = vorrq_u32(vshlq_u32(vreinterpretq_u32_u8(a.v), vdupq_n_s32(-shift)), vshlq_u32(vreinterpretq_u32_u8(b.v), vdupq_n_s32(32 - shift)));
    const uint32x4_t first = vandq_u32(x, vdupq_n_u32(mask)), second = vandq_u32(vshlq_n_u32(x, 8 - kRate), vdupq_n_u32(mask << 8));
    const uint32x4_t third = vandq_u32(vshlq_n_u32(x, 16 - 2 * kRate), vdupq_n_u32(mask << 16));
    const uint32x4_t fourth = vandq_u32(vshlq_n_u32(x, 24 - 3 * kRate), vdupq_n_u32(mask << 24));
    return {vreinterpretq_u8_u32(vorrq_u32(vorrq_u32(first, second), vorrq_u32(third, fourth)))};
  }
};

// Tables of 64: tbl gives 0 and tbx what was there where a window lies beyond.
template <int kWindow>
struct WindowTable {
  static constexpr int kParts = 1 << (kWindow - 6);
  uint8x16x4_t part[kParts];
  explicit WindowTable(const uint8_t* p) {
    for (int i = 0; i < kParts; ++i) part[i] = vld1q_u8_x4(p + 64 * i);
  }
  void lookup(Bytes (&x)[4]) const {
#pragma GCC unroll 4
    for (Bytes& windows : x) {
      uint8x16_t number = vqtbl4q_u8(part[0], windows.v);
      for (int i = 1; i < kParts; ++i) number = vqtbx4q_u8(number, part[i], vsubq_u8(windows.v, vdupq_n_u8(static_cast<uint8_t>(64 * i))));
      windows.v = number;
    }
  }
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
