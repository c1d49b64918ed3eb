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
  template <int kWindow, int kRate>
  static Bytes windows(Bytes a, Bytes b, int shift) {
    constexpr int mask = (1 << kWindow) - 1;
    const __m256i x = _mm256_or_si256(_mm256_srl_epi32(a.v, _mm_cvtsi32_si128(shift)), _mm256_sll_epi32(b.v, _mm_cvtsi32_si128(32 - shift)));
    const __m256i first = _mm256_and_si256(x, _mm256_set1_epi32(mask));
    const __m256i second = _mm256_and_si256(_mm256_slli_epi32(x, 8 - kRate), _mm256_set1_epi32(mask << 8));
    const __m256i third = _mm256_and_si256(_mm256_slli_epi32(x, 16 - 2 * kRate), _mm256_set1_epi32(mask << 16));
    const __m256i fourth = _mm256_and_si256(_mm256_slli_epi32(x, 24 - 3 * kRate), _mm256_set1_epi32(static_cast<int>(mask * 0x1000000u)));
    return {_mm256_or_si256(_mm256_or_si256(first, second), _mm256_or_si256(third, fourth))};
  }
};

template <int kWindow>
struct WindowTable;

// Four tables of 16, chosen among by bits 4 and 5.
template <>
struct WindowTable<6> {
  Bytes part[4];
  explicit WindowTable(const uint8_t* p) {
    for (int i = 0; i < 4; ++i) part[i] = Bytes::table16(p + 16 * i);
  }
  void lookup(Bytes (&x)[4]) const {
#pragma GCC unroll 4
    for (Bytes& windows : x) windows.v = number(windows);
  }

 private:
  __m256i number(Bytes windows) const {
    const __m256i odd = _mm256_slli_epi16(windows.v, 3), upper = _mm256_slli_epi16(windows.v, 2);  // top bits choose
    const __m256i low = _mm256_blendv_epi8(part[0].lookup(windows).v, part[1].lookup(windows).v, odd);
    const __m256i high = _mm256_blendv_epi8(part[2].lookup(windows).v, part[3].lookup(windows).v, odd);
    return _mm256_blendv_epi8(low, high, upper);
  }
};

// Sixteen tables of 16, each but the first and the ninth as what it differs in from the one before. A look-up is 0 where the top bit is
// set: below 128, 16 less for each table (and no less than -128) add up those that come before a window's own, and its own. The same from
// 128 on, with top bits turned over.
template <>
struct WindowTable<8> {
  alignas(16) uint8_t part[16][16];
  explicit WindowTable(const uint8_t* p) {
    for (int i = 0; i < 16; ++i)
      for (int j = 0; j < 16; ++j) part[i][j] = i % 8 ? p[16 * i + j] ^ p[16 * (i - 1) + j] : p[16 * i + j];
  }
  void lookup(Bytes (&x)[4]) const {
    const __m256i less = _mm256_set1_epi8(16);
    __m256i sum[4], at[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) sum[k] = _mm256_setzero_si256(), at[k] = x[k].v;
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      const Bytes table = Bytes::table16(part[i]);
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
        if (i == 8) at[k] = _mm256_xor_si256(x[k].v, _mm256_set1_epi8(-128));
        sum[k] = _mm256_xor_si256(sum[k], table.lookup({at[k]}).v);
        at[k] = _mm256_subs_epi8(at[k], less);
      }
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) x[k].v = sum[k];
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
