// Scan of trellis codes with AVX2.
#include "core/target.hpp"
#include "pack_codes/pack_codes.hpp"
#include "trellis/trellis.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

#include "core/scan.inl"

#include "core/bounds.inl"

#include "core/screen.inl"

#include "pack_codes/planes.inl"

constexpr int kQueriesAtOnce = 2;
inline int largest_factor(int most) { return most > 127 ? 64 : 127; }  // 2 * 255 * 64 and 2 * 127 * 127 are less than 2^15
constexpr int kLargestNumber = 255;

struct Ring {
  template <int kRate>
  static Bytes windows(Bytes a, Bytes b, int shift) {
    const __m256i x = _mm256_or_si256(_mm256_srl_epi32(a.v, _mm_cvtsi32_si128(shift)), _mm256_sll_epi32(b.v, _mm_cvtsi32_si128(32 - shift)));
    const __m256i first = _mm256_and_si256(x, _mm256_set1_epi32(0x3f));
    const __m256i second = _mm256_and_si256(_mm256_slli_epi32(x, 8 - kRate), _mm256_set1_epi32(0x3f00));
    const __m256i third = _mm256_and_si256(_mm256_slli_epi32(x, 16 - 2 * kRate), _mm256_set1_epi32(0x3f0000));
    const __m256i fourth = _mm256_and_si256(_mm256_slli_epi32(x, 24 - 3 * kRate), _mm256_set1_epi32(0x3f000000));
    return {_mm256_or_si256(_mm256_or_si256(first, second), _mm256_or_si256(third, fourth))};
  }
};

// Four tables of 16, chosen among by bits 4 and 5.
struct WindowTable {
  Bytes part[4];
  explicit WindowTable(const uint8_t* p) {
    for (int i = 0; i < 4; ++i) part[i] = Bytes::table16(p + 16 * i);
  }
  Bytes lookup(Bytes windows) const {
    const __m256i odd = _mm256_slli_epi16(windows.v, 3), upper = _mm256_slli_epi16(windows.v, 2);  // top bits choose
    const __m256i low = _mm256_blendv_epi8(part[0].lookup(windows).v, part[1].lookup(windows).v, odd);
    const __m256i high = _mm256_blendv_epi8(part[2].lookup(windows).v, part[3].lookup(windows).v, odd);
    return {_mm256_blendv_epi8(low, high, upper)};
  }
};

#include "dot/numbers.inl"

#include "dot/products.inl"

#include "dot/exact.inl"

#include "dot/dot.inl"

#include "trellis/trellis.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<Trellis> registered(Isa::avx2, {avx2::scan_trellis, avx2::screen_row, avx2::row_bytes,
                                                     avx2::settle<avx2::TrellisSums>, avx2::prepare_trellis, avx2::kTogether});
}  // namespace vecpress

#endif
