// Symmetric scan of small numbers with AVX-512: 64-entry tables (VBMI) take three numbers of 2 bits, VNNI multiplies, BITALG counts.
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

constexpr int kTileOfOneQuery = 1;  // blocks
constexpr int kProductQueries = 4;
constexpr int kFastestForms[5] = {0, kByPlanes, kByTables, 0, kByProducts};  // by bits

// Four bytes of a row stand side by side.
struct Multiplied {
  static constexpr int kPlanes = 4, kVectors = 4;
  static constexpr int64_t kHeld = int64_t{1} << 31;
  using Sum = Quads;
  using Few = Four;
  static void gather(Bytes (&x)[4]) { interleave(x); }
  static void finish(const Quads (&sums)[4], uint32_t start, bool, uint32_t* out) {
    alignas(64) uint32_t raw[Bytes::kLanes];
    store_in_order(sums, raw);
    for (int r = 0; r < Bytes::kLanes; ++r) out[r] = start + raw[r];
  }
};

#include "sdc/tables.inl"

#include "sdc/planes.inl"

#include "sdc/products.inl"

#include "sdc/sixes.inl"

using TwoBitTables = Sixes;

#include "sdc/sdc.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<Sdc> registered(Isa::avx512, {avx512::scan_sdc, avx512::sdc_query, avx512::sdc_query_bytes, avx512::settle_known});
}  // namespace vecpress

#endif
