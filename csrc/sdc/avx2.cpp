// Symmetric scan of small numbers with AVX2: tables looked up by vpshufb, products of bytes in 16 bits.
#include "core/target.hpp"
#include "sdc/sdc.hpp"

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

#include "core/counts.inl"

#include "sdc/query.inl"

constexpr int kTableSides = 2;  // registers of rows side by side, which share loads of tables
constexpr int kTableQueries = 4, kProductQueries = 4;

// The fastest form: bits are counted by look-ups here, so tables of sums cost no more.
inline int fastest_form(const Scan& s) { return s.n_bits == 4 ? kByProducts : kByTables; }

// Two bytes of a row stand side by side; their products are added in 16 bits.
struct Multiplied {
  static constexpr int kPlanes = 2, kVectors = 2, kSides = 2;
  static constexpr int64_t kHeld = 32767;
  struct Few {
    __m256i v;
    explicit Few(const int8_t* p) {
      short two;
      __builtin_memcpy(&two, p, 2);
      v = _mm256_set1_epi16(two);
    }
  };
  struct Sum {
    __m256i v;
    static Sum zero() { return {_mm256_setzero_si256()}; }
    void add(Bytes x, Few few) { v = _mm256_add_epi16(v, _mm256_maddubs_epi16(x.v, few.v)); }
  };
  [[gnu::always_inline]] static void gather(Bytes* x) {
    const __m256i low = _mm256_unpacklo_epi8(x[0].v, x[1].v), high = _mm256_unpackhi_epi8(x[0].v, x[1].v);
    x[0].v = low;
    x[1].v = high;
  }
  static void finish(const Sum (&sums)[2], uint32_t start, bool first, uint32_t* out) {
    const __m256i from = _mm256_set1_epi32(static_cast<int>(start));
    const auto add = [&](__m128i eight, uint32_t* to) {
      __m256i* at = reinterpret_cast<__m256i*>(to);
      _mm256_storeu_si256(at, _mm256_add_epi32(first ? from : _mm256_loadu_si256(at), _mm256_cvtepi16_epi32(eight)));
    };
    add(_mm256_castsi256_si128(sums[0].v), out);
    add(_mm256_castsi256_si128(sums[1].v), out + 8);
    add(_mm256_extracti128_si256(sums[0].v, 1), out + 16);
    add(_mm256_extracti128_si256(sums[1].v, 1), out + 24);
  }
};

#include "sdc/nibble_table.inl"

#include "sdc/tables.inl"

#include "sdc/planes.inl"

#include "sdc/products.inl"

using TwoBitTables = Nibbles<2>;
using FourBitProducts = Products<4>;

#include "sdc/segments.inl"

#include "sdc/sdc.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<Sdc> registered(Isa::avx2, {avx2::scan_sdc, avx2::sdc_query, avx2::sdc_query_bytes, avx2::settle_known});
}  // namespace vecpress

#endif
