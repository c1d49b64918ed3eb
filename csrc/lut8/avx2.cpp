// Byte scan with AVX2: every row's float sum, eight table entries a gather. A 256-entry table fits no register here.
#include "core/target.hpp"
#include "lut8/lut8.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

#include "core/scan.inl"

struct GatheredSums {
  static constexpr int kQueries = 1;

  template <int G>
  static void sums(const Scan& s, const uint8_t* payload, int64_t q, float (*out)[kBlock]) {
    const float* tables = static_cast<const float*>(s.operand) + q * s.m * 256;
    __m256 total_f32x8[8];
    for (int v = 0; v < 8; ++v) total_f32x8[v] = _mm256_setzero_ps();
    for (int64_t j = 0; j < s.m; ++j)
      for (int v = 0; v < 8; ++v) {
        const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(payload + j * kBlock + 8 * v));
        const __m256 entries = _mm256_i32gather_ps(tables + j * 256, _mm256_cvtepu8_epi32(bytes), 4);
        total_f32x8[v] = _mm256_add_ps(total_f32x8[v], entries);
      }
    for (int v = 0; v < 8; ++v) _mm256_storeu_ps(out[0] + 8 * v, total_f32x8[v]);
  }
};

void scan_lut8(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  scan_exact<GatheredSums>(s, q0, q1, b0, b1, collectors);
}
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<Lut8> registered(Isa::avx2, {avx2::scan_lut8, nullptr});
}  // namespace vecpress

#endif
