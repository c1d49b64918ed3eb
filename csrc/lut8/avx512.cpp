// Byte scan with AVX-512 VBMI: a rounded 256-entry table in four registers, looked up by two vpermi2b and a blend.
#include "core/target.hpp"
#include "lut8/lut8.hpp"

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

struct Table256 {
  __m512i quarter[4];
  explicit Table256(const uint8_t* p) {
    for (int i = 0; i < 4; ++i) quarter[i] = hold(_mm512_loadu_si512(p + 64 * i));
  }
  // Compilers take loads for free and would load again for every use; here they are what limits.
  static __m512i hold(__m512i x) {
    __asm__("" : "+v"(x));
    return x;
  }
  Bytes lookup(Bytes loaded) const {  // vpermi2b reads the low 7 bits of an index, the top bit picks the half
    const __m512i codes = hold(loaded.v);
    const __m512i low = _mm512_permutex2var_epi8(quarter[0], codes, quarter[1]);
    const __m512i high = _mm512_permutex2var_epi8(quarter[2], codes, quarter[3]);
    return {_mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), low, high)};
  }
};

#include "lut8/lut8.inl"

void scan_lut8(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  scan_tables<ByteTables<4, 1>>(s, q0, q1, b0, b1, collectors);
}
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<Lut8> registered(Isa::avx512, {avx512::scan_lut8, avx512::make_screen<256>, avx512::screen_bytes<256>, avx512::settle<avx512::TableSums<256>>});
}  // namespace vecpress

#endif
