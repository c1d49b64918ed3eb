// Symmetric scan of small numbers with AVX-512: 64-entry tables (VBMI) take three numbers of 2 bits, VNNI multiplies, BITALG
// counts.
#include "core/target.hpp"
#include "sdc/sdc.hpp"

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

#include "core/counts.inl"

#include "sdc/query.inl"

constexpr int kTableSides = 1;  // registers of rows side by side, which share loads of tables
constexpr int kTableQueries = 4, kProductQueries = 4;

constexpr int64_t kFewFromMemory = 4;   // queries
constexpr int64_t kNear = 1 << 20;      // bytes of code that the second cache holds

// The fastest form. Codes that few queries read from afar are counted: tables of 64 entries leave too few loads to ask for them
// in time. From the last cache that costs a fifth where they were read just before, and gains twice as much where not.
inline int fastest_form(const Scan& s) {
  const bool far = s.nq <= kFewFromMemory && from_memory(s), alone = s.nq == 1 && s.n * s.code_size > kNear;
  if (s.n_bits == 2) return far || alone ? kByPlanes : kByTables;
  return s.n_bits == 1 ? kByPlanes : kByProducts;
}

// Four bytes of a row stand side by side.
struct Multiplied {
  static constexpr int kPlanes = 4, kVectors = 4, kSides = 1;
  static constexpr int64_t kHeld = int64_t{1} << 31;
  using Sum = Quads;
  using Few = Four;
  [[gnu::always_inline]] static void gather(Bytes* x) {
    Bytes four[4] = {x[0], x[1], x[2], x[3]};
    interleave(four);
    for (int i = 0; i < 4; ++i) x[i] = four[i];
  }
  static void finish(const Quads (&sums)[4], uint32_t start, bool, uint32_t* out) {
    alignas(64) uint32_t raw[Bytes::kLanes];
    store_in_order(sums, raw);
    for (int r = 0; r < Bytes::kLanes; ++r) out[r] = start + raw[r];
  }
};

#include "sdc/nibble_table.inl"

#include "sdc/tables.inl"

#include "sdc/planes.inl"

#include "sdc/products.inl"

#include "sdc/sixes.inl"

#include "sdc/unshifted.inl"

using TwoBitTables = Sixes;
using FourBitProducts = NibbleProducts;

#include "sdc/segments.inl"

#include "sdc/sdc.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<Sdc> registered(Isa::avx512, {avx512::scan_sdc, avx512::sdc_query, avx512::sdc_query_bytes,
                                                avx512::settle_known});
}  // namespace vecpress

#endif
