// The search for labels with AVX2: 32 products of bytes in three instructions.
#include "core/target.hpp"
#include "search_labels/search_labels.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

struct Shorts {  // of bytes in memory
  static constexpr int kLanes = 16;
  __m256i v;
  static Shorts zero() { return {_mm256_setzero_si256()}; }
  static Shorts load(const int8_t* p) { return {_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))}; }
  Shorts operator+(Shorts o) const { return {_mm256_add_epi16(v, o.v)}; }
  Shorts operator-(Shorts o) const { return {_mm256_sub_epi16(v, o.v)}; }
};

inline Floats whole_numbers(const int32_t* p) {
  return {_mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline void whole_numbers(Shorts x, Floats (&out)[2]) {
  out[0].v = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm256_castsi256_si128(x.v)));
  out[1].v = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm256_extracti128_si256(x.v, 1)));
}

#include "beam_step/least.inl"

#include "search_labels/search_labels.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<SearchLabels> registered(Isa::avx2, avx2::search_labels_rows);
}  // namespace vecpress

#endif
