// Byte scan with AVX2: a rounded 256-entry table is 16 tables of 16 entries, all looked up by the low nibble (vpshufb); the bits of the
// high nibble choose among them, pair by pair (vpblendvb).
#include "core/target.hpp"
#include "lut8/lut8.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

#include "core/scan.inl"

#include "core/bounds.inl"

#include "core/screen.inl"

#include "core/tiles.inl"

#include "core/table_scan.inl"

struct Table256 {
  const uint8_t* entries;
  explicit Table256(const uint8_t* p) : entries(p) {}

  Bytes lookup(Bytes codes) const {
    const __m256i x = codes.v;  // a blend reads the top bit of every byte
    const __m256i bits[4] = {_mm256_slli_epi16(x, 3), _mm256_slli_epi16(x, 2), _mm256_slli_epi16(x, 1), x};
    return {choose<4>(0, codes.low_nibbles(), bits)};
  }

 private:
  // Of the 2^kBits tables from `first` on, each lane's.
  template <int kBits>
  [[gnu::always_inline]] __m256i choose(int first, Bytes nibbles, const __m256i (&bits)[4]) const {
    if constexpr (kBits == 0) {
      return Bytes::table16(entries + 16 * first).lookup(nibbles).v;
    } else {
      const __m256i without = choose<kBits - 1>(first, nibbles, bits), with = choose<kBits - 1>(first + (1 << (kBits - 1)), nibbles, bits);
      return _mm256_blendv_epi8(without, with, bits[kBits - 1]);
    }
  }
};

#include "lut8/lut8.inl"

void scan_lut8(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  scan_tables<ByteTables<1, 1>>(s, q0, q1, b0, b1, collectors);
}
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<Lut8> registered(Isa::avx2, {avx2::scan_lut8, avx2::make_screen<256>, avx2::screen_bytes<256>, avx2::settle<avx2::TableSums<256>>});
}  // namespace vecpress

#endif
