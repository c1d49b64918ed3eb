// Scan of trellis codes for the baseline machine.
#include "core/target.hpp"
#include "pack_codes/pack_codes.hpp"
#include "trellis/trellis.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

#include "core/scan.inl"

#include "core/bounds.inl"

#include "core/screen.inl"

#include "pack_codes/planes.inl"

constexpr int kQueriesAtOnce = 4;
inline int largest_factor(int) { return 127; }
constexpr int kLargestNumber = 255;

struct Ring {
  template <int kWindow, int kRate>
  static Bytes windows(Bytes a, Bytes b, int shift) {
    uint64_t out = 0;
    for (int row = 0; row < 64; row += 32) {
      const uint64_t x = ((b.v >> row & 0xffffffff) << 32 | (a.v >> row & 0xffffffff)) >> shift;
      for (int i = 0; i < 4; ++i) out |= (x >> (i * kRate) & ((1 << kWindow) - 1)) << (row + 8 * i);
    }
    return {out};
  }
};

template <int kWindow>
struct WindowTable {
  const uint8_t* table;
  explicit WindowTable(const uint8_t* p) : table(p) {}
  void lookup(Bytes (&x)[4]) const {
    for (Bytes& windows : x) {
      uint64_t out = 0;
      for (int i = 0; i < 64; i += 8) out |= static_cast<uint64_t>(table[windows.v >> i & ((1 << kWindow) - 1)]) << i;
      windows.v = out;
    }
  }
};

#include "dot/numbers.inl"

#include "dot/products.inl"

#include "dot/exact.inl"

#include "dot/dot.inl"

#include "trellis/trellis.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<Trellis> registered(Isa::scalar, {scalar::scan_trellis, scalar::screen_row, scalar::row_bytes,
                                                     scalar::settle<scalar::TrellisSums>, scalar::prepare_trellis, scalar::kTogether});
}  // namespace vecpress
