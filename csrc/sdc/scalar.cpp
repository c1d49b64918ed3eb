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

constexpr int kTableSides = 1;  // registers of rows side by side, which share loads of tables
constexpr int kTableQueries = 1, kProductQueries = 1;

inline int fastest_form(const Scan& s) { return s.n_bits == 4 ? kByProducts : kByPlanes; }

// A byte looked up after the other.
struct NibbleTable {
  const uint8_t* p;
  explicit NibbleTable(const uint8_t* table) : p(table) {}
  Bytes lookup(Bytes places) const {
    uint64_t out = 0;
    for (int i = 0; i < 64; i += 8) out |= static_cast<uint64_t>(p[places.v >> i & 15]) << i;
    return {out};
  }
};

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

#include "sdc/tables.inl"

#include "sdc/planes.inl"

#include "sdc/products.inl"

using TwoBitTables = Nibbles<2>;
using FourBitProducts = Products<4>;

#include "sdc/segments.inl"

#include "sdc/sdc.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<Sdc> registered(Isa::scalar, {scalar::scan_sdc, scalar::sdc_query, scalar::sdc_query_bytes,
                                                scalar::settle_known});
}  // namespace vecpress
