// Grid points with AVX-512.
#include "core/target.hpp"
#include "encode_grid/encode_grid.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
// The sum of numbers of 32 bits, 0 or more, which may need more.
inline int64_t sum_of(__m512i x) {
  const __m512i pairs = _mm512_add_epi64(_mm512_srli_epi64(x, 32), _mm512_and_si512(x, _mm512_set1_epi64(0xffffffff)));
  return _mm512_reduce_add_epi64(pairs);
}

inline void try_scales(const int16_t* a, int64_t n, const uint16_t* scales, int shift, int most, int64_t* product,
                       int64_t* square) {
  const __m128i places = _mm_cvtsi32_si128(shift);
  const __m512i one = _mm512_set1_epi16(1), bar = _mm512_set1_epi16(static_cast<short>(most));
  __m512i scale[4], products[4], squares[4];
  for (int i = 0; i < 4; ++i) {
    scale[i] = _mm512_set1_epi16(static_cast<short>(scales[i]));
    products[i] = squares[i] = _mm512_setzero_si512();
  }
  for (int64_t t = 0; t < n; t += 32) {
    const __m512i x = _mm512_loadu_si512(a + t);
    for (int i = 0; i < 4; ++i) {
      const __m512i odd = _mm512_or_si512(_mm512_srl_epi16(_mm512_mulhi_epu16(x, scale[i]), places), one);
      const __m512i m = _mm512_min_epi16(odd, bar);
      products[i] = _mm512_add_epi32(products[i], _mm512_madd_epi16(x, m));
      squares[i] = _mm512_add_epi32(squares[i], _mm512_madd_epi16(m, m));
    }
  }
  for (int i = 0; i < 4; ++i) {
    product[i] += sum_of(products[i]);
    square[i] += sum_of(squares[i]);
  }
}

#include "encode_grid/encode_grid.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<EncodeGrid> registered(Isa::avx512, avx512::encode_grid_rows);
}  // namespace vecpress

#endif
