// Symmetric scan of small numbers with NEON: tables looked up by tbl, products of bytes in 16 bits, bits counted by cnt.
#include "core/target.hpp"
#include "sdc/sdc.hpp"

#if defined(__aarch64__)
namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

#include "core/scan.inl"

#include "core/bounds.inl"

#include "core/screen.inl"

#include "core/tiles.inl"

#include "core/table_scan.inl"

#include "core/counts.inl"

#include "sdc/query.inl"

constexpr int kTableSides = 4;  // registers of rows side by side, which share loads of tables
constexpr int kTableQueries = 4, kProductQueries = 4;

// The fastest form, by the number of instructions.
inline int fastest_form(const Scan& s) { return s.n_bits == 1 ? kByPlanes : s.n_bits == 2 ? kByTables : kByProducts; }

// Rows stay where they are, each product is added in 16 bits.
struct Multiplied {
  static constexpr int kPlanes = 1, kVectors = 1, kSides = 4;
  static constexpr int64_t kHeld = 32767;
  struct Few {
    int8x8_t v;
    explicit Few(const int8_t* p) : v(vld1_dup_s8(p)) {}
  };
  struct Sum {
    int16x8_t low, high;
    static Sum zero() { return {vdupq_n_s16(0), vdupq_n_s16(0)}; }
    void add(Bytes x, Few few) {
      const int8x16_t y = vreinterpretq_s8_u8(x.v);
      low = vmlal_s8(low, vget_low_s8(y), few.v);
      high = vmlal_s8(high, vget_high_s8(y), few.v);
    }
  };
  static void gather(Bytes*) {}
  static void finish(const Sum (&sums)[1], uint32_t start, bool first, uint32_t* out) {
    const int16x4_t four[4] = {vget_low_s16(sums[0].low), vget_high_s16(sums[0].low), vget_low_s16(sums[0].high),
                               vget_high_s16(sums[0].high)};
    for (int i = 0; i < 4; ++i) {
      const uint32x4_t before = first ? vdupq_n_u32(start) : vld1q_u32(out + 4 * i);
      vst1q_u32(out + 4 * i, vaddq_u32(before, vreinterpretq_u32_s32(vmovl_s16(four[i]))));
    }
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
}  // namespace vecpress::neon

namespace vecpress {
static const Register<Sdc> registered(Isa::neon, {neon::scan_sdc, neon::sdc_query, neon::sdc_query_bytes, neon::settle_known});
}  // namespace vecpress

#endif
