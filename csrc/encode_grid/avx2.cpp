// Grid points with AVX2.
#include "core/target.hpp"
#include "encode_grid/encode_grid.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
// The sum of numbers of 32 bits, 0 or more, which may need more.
inline int64_t sum_of(__m256i x) {
  const __m256i pairs = _mm256_add_epi64(_mm256_srli_epi64(x, 32), _mm256_and_si256(x, _mm256_set1_epi64x(0xffffffff)));
  const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
  return _mm_cvtsi128_si64(two) + _mm_extract_epi64(two, 1);
}

inline void try_scales(const int16_t* a, int64_t n, const uint16_t* scales, int shift, int most, int64_t* product,
                       int64_t* square) {
  const __m128i places = _mm_cvtsi32_si128(shift);
  const __m256i one = _mm256_set1_epi16(1), bar = _mm256_set1_epi16(static_cast<short>(most));
  __m256i scale[4], products[4], squares[4];
  for (int i = 0; i < 4; ++i) {
    scale[i] = _mm256_set1_epi16(static_cast<short>(scales[i]));
    products[i] = squares[i] = _mm256_setzero_si256();
  }
  for (int64_t t = 0; t < n; t += 16) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a + t));
    for (int i = 0; i < 4; ++i) {
      const __m256i odd = _mm256_or_si256(_mm256_srl_epi16(_mm256_mulhi_epu16(x, scale[i]), places), one);
      const __m256i m = _mm256_min_epi16(odd, bar);
      products[i] = _mm256_add_epi32(products[i], _mm256_madd_epi16(x, m));
      squares[i] = _mm256_add_epi32(squares[i], _mm256_madd_epi16(m, m));
    }
  }
  for (int i = 0; i < 4; ++i) {
    product[i] += sum_of(products[i]);
    square[i] += sum_of(squares[i]);
  }
}

#include "encode_grid/encode_grid.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<EncodeGrid> registered(Isa::avx2, avx2::encode_grid_rows);
}  // namespace vecpress

#endif
