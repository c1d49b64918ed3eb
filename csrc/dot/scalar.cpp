// Scan of small whole numbers, baseline.
#include "dot/dot.hpp"
#include "pack_codes/pack_codes.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

#include "core/scan.inl"

#include "core/bounds.inl"

#include "core/screen.inl"

#include "pack_codes/planes.inl"

constexpr int kQueriesAtOnce = 4;
constexpr int kLargestNumber = 255;
inline int largest_factor(int) { return 127; }

template <int kBits>
struct LevelTable {
  const uint8_t* table;
  explicit LevelTable(const uint8_t* p) : table(p) {}
  Bytes lookup(Bytes numbers) const {
    uint64_t out = 0;
    for (int i = 0; i < 64; i += 8) out |= static_cast<uint64_t>(table[numbers.v >> i & 255]) << i;
    return {out};
  }
};

#include "dot/numbers.inl"

#include "dot/products.inl"

#include "dot/exact.inl"

#include "dot/dot.inl"

#include "dot/packed.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<Dot> registered(Isa::scalar, {scalar::scan_products, scalar::screen_row, scalar::row_bytes,
                                                scalar::settle<scalar::NumberSums>, scalar::prepare_levels, scalar::kTogether});
}  // namespace vecpress
