// Scan of small whole numbers with AVX2: pairs of products in 16 bits, then 32.
#include "core/target.hpp"
#include "dot/dot.hpp"
#include "pack_codes/pack_codes.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

#include "core/scan.inl"

#include "core/bounds.inl"

#include "core/screen.inl"

#include "core/tiles.inl"

#include "core/table_scan.inl"

#include "lut4/lut4.inl"

#include "pack_codes/planes.inl"

constexpr int kQueriesAtOnce = 2;
constexpr int kLargestNumber = 127;
inline int largest_factor(int most) { return most > 127 ? 64 : 127; }  // 2 * 255 * 64 and 2 * 127 * 127 are less than 2^15

// 2^kBits bytes, 16 at a time: a number outside the 16 gets its top bit set, by which it looks up 0.
template <int kBits>
struct LevelTable {
  static constexpr int kParts = kBits <= 4 ? 1 : 1 << (kBits - 4);
  Bytes part[kParts];
  explicit LevelTable(const uint8_t* p) {
    for (int i = 0; i < kParts; ++i) part[i] = Bytes::table16(p + 16 * i);
  }
  Bytes lookup(Bytes numbers) const {
    if (kBits <= 4) return part[0].lookup(numbers);
    Bytes out = Bytes::zero();
    for (int i = 0; i < kParts; ++i) {
      const Bytes inside = numbers ^ Bytes::set1(static_cast<uint8_t>(16 * i));
      out = out | part[i].lookup({_mm256_adds_epu8(inside.v, _mm256_set1_epi8(0x70))});
    }
    return out;
  }
};

#include "dot/numbers.inl"

#include "dot/products.inl"

#include "dot/exact.inl"

#include "dot/dot.inl"

#include "dot/packed.inl"

#include "dot/few_bits.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<Dot> registered(Isa::avx2, {avx2::scan_dot, avx2::screen_dot, avx2::screen_dot_bytes,
                                                avx2::settle<avx2::NumberSums>, avx2::prepare_levels, avx2::kTogether});
}  // namespace vecpress

#endif
