// Nibble scan with AVX-512: 64 codes at a time, tables broadcast to four lanes and looked up by vpshufb.
#include "core/target.hpp"
#include "lut4/lut4.hpp"

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

// Four tables fill a register; vpermb takes an entry of any of them, so the table's number stands above the nibble.
struct FourTables {
  __m512i v;
  explicit FourTables(const uint8_t* p) : v(_mm512_loadu_si512(p)) {}
  template <int T>
  static Bytes place(Bytes codes) {
    const __m512i nibble = T % 2 ? _mm512_srli_epi16(codes.v, 4) : codes.v;
    return {_mm512_ternarylogic_epi32(nibble, _mm512_set1_epi8(15), _mm512_set1_epi8(16 * T), 0xEA)};  // (nibble & 15) | 16 T
  }
  template <int T>
  Bytes lookup(Bytes place) const { return {_mm512_permutexvar_epi8(place.v, v)}; }
};

#include "lut4/lut4.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<Lut4> registered(Isa::avx512, {avx512::scan_lut4, avx512::make_screen<16>, avx512::screen_bytes<16>, avx512::settle<avx512::TableSums<16>>});
}  // namespace vecpress

#endif
