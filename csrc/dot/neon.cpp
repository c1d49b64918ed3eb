// Scan of small whole numbers with NEON: signed products in 16 bits, then 32.
#include "core/target.hpp"
#include "dot/dot.hpp"
#include "pack_codes/pack_codes.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

#include "core/scan.inl"

#include "core/bounds.inl"

#include "core/screen.inl"

#include "core/tiles.inl"

#include "core/table_scan.inl"

#include "lut4/lut4.inl"

#include "pack_codes/planes.inl"

constexpr int kQueriesAtOnce = 4;
constexpr int kLargestNumber = 255;
inline int largest_factor(int) { return 127; }

// 2^kBits bytes, 64 at a time: an index outside 0..63 gives 0 (tbl) or leaves the lane as it was (tbx).
template <int kBits>
struct LevelTable {
  static constexpr int kParts = kBits <= 6 ? 1 : 1 << (kBits - 6);
  uint8x16x4_t part[kParts];
  explicit LevelTable(const uint8_t* p) {
    for (int i = 0; i < kParts; ++i) part[i] = vld1q_u8_x4(p + 64 * i);
  }
  Bytes lookup(Bytes numbers) const {
    if (kBits <= 4) return {vqtbl1q_u8(part[0].val[0], numbers.v)};
    uint8x16_t out = vqtbl4q_u8(part[0], numbers.v);
    for (int i = 1; i < kParts; ++i)
      out = vqtbx4q_u8(out, part[i], vsubq_u8(numbers.v, vdupq_n_u8(static_cast<uint8_t>(64 * i))));
    return {out};
  }
};

#include "dot/numbers.inl"

#include "dot/products.inl"

#include "dot/exact.inl"

#include "dot/dot.inl"

#include "dot/packed.inl"

#include "dot/few_bits.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<Dot> registered(Isa::neon, {neon::scan_dot, neon::screen_dot, neon::screen_dot_bytes,
                                                neon::settle<neon::NumberSums>, neon::prepare_levels, neon::kTogether});
}  // namespace vecpress

#endif
