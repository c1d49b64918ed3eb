// Scan of trellis codes with AVX-512.
#include "core/target.hpp"
#include "pack_codes/pack_codes.hpp"
#include "trellis/trellis.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "core/vec_avx512.inl"

#include "core/scan.inl"

#include "core/bounds.inl"

#include "core/screen.inl"

#include "pack_codes/planes.inl"

constexpr int kQueriesAtOnce = 6;
inline int largest_factor(int) { return 127; }
constexpr int kLargestNumber = 255;

// Bits are taken by one instruction: 8 of them, for windows of 6 as well.
struct Ring {
  template <int, int kRate>
  static Bytes windows(Bytes a, Bytes b, int shift) {
    const __m512i x = _mm512_or_si512(_mm512_srl_epi32(a.v, _mm_cvtsi32_si128(shift)), _mm512_sll_epi32(b.v, _mm_cvtsi32_si128(32 - shift)));
    constexpr int64_t low = 0 | kRate << 8 | 2 * kRate << 16 | 3 * kRate << 24;
    return {_mm512_multishift_epi64_epi8(_mm512_set1_epi64(low | (low + 0x20202020) << 32), x)};
  }
};

template <int kWindow>
struct WindowTable {
  static constexpr int kParts = 1 << (kWindow - 6);
  __m512i part[kParts];
  explicit WindowTable(const uint8_t* p) {
    for (int i = 0; i < kParts; ++i) part[i] = _mm512_loadu_si512(p + 64 * i);
  }
  void lookup(Bytes (&x)[4]) const {
#pragma GCC unroll 4
    for (Bytes& windows : x) windows.v = number(windows.v);
  }

 private:
  __m512i number(__m512i windows) const {
    if constexpr (kWindow == 6) {
      return _mm512_permutexvar_epi8(windows, part[0]);
    } else {
      const __m512i low = _mm512_permutex2var_epi8(part[0], windows, part[1]), high = _mm512_permutex2var_epi8(part[2], windows, part[3]);
      return _mm512_mask_blend_epi8(_mm512_movepi8_mask(windows), low, high);
    }
  }
};

#include "dot/numbers.inl"

#include "dot/products.inl"

#include "dot/exact.inl"

#include "dot/dot.inl"

#include "trellis/trellis.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<Trellis> registered(Isa::avx512, {avx512::scan_trellis, avx512::screen_row, avx512::row_bytes,
                                                     avx512::settle<avx512::TrellisSums>, avx512::prepare_trellis, avx512::kTogether});
}  // namespace vecpress

#endif
