// Byte scan with NEON: a rounded 256-entry table in sixteen registers, looked up by one tbl and three tbx of 64 entries.
#include "core/target.hpp"
#include "lut8/lut8.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

#include "core/scan.inl"

#include "core/bounds.inl"

#include "core/screen.inl"

#include "core/tiles.inl"

#include "core/table_scan.inl"

struct Table256 {
  uint8x16x4_t quarter[4];
  explicit Table256(const uint8_t* p) {
    for (int i = 0; i < 4; ++i) quarter[i] = vld1q_u8_x4(p + 64 * i);
  }
  Bytes lookup(Bytes codes) const {  // an index outside 0..63 gives 0 (tbl) or leaves the lane as it was (tbx)
    uint8x16_t out = vqtbl4q_u8(quarter[0], codes.v);
    for (int i = 1; i < 4; ++i) out = vqtbx4q_u8(out, quarter[i], vsubq_u8(codes.v, vdupq_n_u8(static_cast<uint8_t>(64 * i))));
    return {out};
  }
};

#include "lut8/lut8.inl"

void scan_lut8(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  scan_tables<ByteTables<1, 1>>(s, q0, q1, b0, b1, collectors);
}
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<Lut8> registered(Isa::neon, {neon::scan_lut8, neon::make_screen<256>, neon::screen_bytes<256>, neon::settle<neon::TableSums<256>>});
}  // namespace vecpress

#endif
