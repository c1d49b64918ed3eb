// Symmetric scan of small numbers with the baseline: eight codes' bytes in a 64-bit word.
#include "core/target.hpp"
#include "sdc/sdc.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

#include "core/scan.inl"

#include "core/bounds.inl"

#include "core/screen.inl"

#include "core/tiles.inl"

#include "core/table_scan.inl"

#include "core/counts.inl"

#include "sdc/query.inl"

constexpr int kTileOfOneQuery = 1;  // blocks
constexpr int kProductQueries = 1;
constexpr int kFastestForms[5] = {0, kByPlanes, kByPlanes, 0, kByProducts};  // by bits

// What tables need: a byte looked up after the other.
struct FourTables {
  const uint8_t* p;
  explicit FourTables(const uint8_t* tables) : p(tables) {}
  template <int T>
  static Bytes place(Bytes codes) { return codes.field<T % 2 * 4, 4>(); }
  template <int T>
  Bytes lookup(Bytes place) const {
    uint64_t out = 0;
    for (int i = 0; i < 64; i += 8) out |= static_cast<uint64_t>(p[16 * T + (place.v >> i & 15)]) << i;
    return {out};
  }
};

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

using TwoBitTables = Nibbles<2>;

#include "sdc/sdc.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<Sdc> registered(Isa::scalar, {scalar::scan_sdc, scalar::sdc_query, scalar::sdc_query_bytes, scalar::settle_known});
}  // namespace vecpress
