// The search for labels with AVX-512: 64 products of bytes an instruction.
#include "core/target.hpp"
#include "search_labels/search_labels.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "core/vec_avx512.inl"

struct Shorts {  // of bytes in memory
  static constexpr int kLanes = 32;
  __m512i v;
  static Shorts zero() { return {_mm512_setzero_si512()}; }
  static Shorts load(const int8_t* p) { return {_mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))}; }
  Shorts operator+(Shorts o) const { return {_mm512_add_epi16(v, o.v)}; }
  Shorts operator-(Shorts o) const { return {_mm512_sub_epi16(v, o.v)}; }
};

inline Floats whole_numbers(const int32_t* p) { return {_mm512_cvtepi32_ps(_mm512_loadu_si512(p))}; }
inline void whole_numbers(Shorts x, Floats (&out)[2]) {
  out[0].v = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm512_castsi512_si256(x.v)));
  out[1].v = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(x.v, 1)));
}

#include "beam_step/least.inl"

#include "search_labels/search_labels.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<SearchLabels> registered(Isa::avx512, avx512::search_labels_rows);
}  // namespace vecpress

#endif
