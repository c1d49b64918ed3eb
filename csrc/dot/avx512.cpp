// Scan of small whole numbers with AVX-512 VNNI: four products of bytes a lane and instruction.
#include "core/target.hpp"
#include "dot/dot.hpp"
#include "pack_codes/pack_codes.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "core/vec_avx512.inl"

#include "core/scan.inl"

#include "core/bounds.inl"

#include "core/screen.inl"

#include "core/tiles.inl"

#include "core/table_scan.inl"

#include "lut4/lut4.inl"

#include "pack_codes/planes.inl"

constexpr int kQueriesAtOnce = 6;
constexpr int kLargestNumber = 255;
inline int largest_factor(int) { return 127; }

// 2^kBits bytes in one, two or four registers, or in every lane of one.
template <int kBits>
struct LevelTable {
  __m512i part[4];
  explicit LevelTable(const uint8_t* p) {
    if (kBits <= 4)
      part[0] = Bytes::table16(p).v;
    else
      for (int i = 0; i < 4; ++i) part[i] = _mm512_loadu_si512(p + 64 * i);
  }
  Bytes lookup(Bytes numbers) const {
    if (kBits <= 4) return Bytes{part[0]}.lookup(numbers);
    if (kBits <= 6) return {_mm512_permutexvar_epi8(numbers.v, part[0])};
    const __m512i low = _mm512_permutex2var_epi8(part[0], numbers.v, part[1]);
    if (kBits == 7) return {low};
    const __m512i high = _mm512_permutex2var_epi8(part[2], numbers.v, part[3]);
    return {_mm512_mask_blend_epi8(_mm512_movepi8_mask(numbers.v), low, high)};
  }
};

#include "dot/numbers.inl"

#include "dot/products.inl"

#include "dot/exact.inl"

#include "dot/dot.inl"

#include "dot/packed.inl"

#include "dot/few_bits.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<Dot> registered(Isa::avx512, {avx512::scan_dot, avx512::screen_dot, avx512::screen_dot_bytes,
                                                avx512::settle<avx512::NumberSums>, avx512::prepare_levels, avx512::kTogether});
}  // namespace vecpress

#endif
