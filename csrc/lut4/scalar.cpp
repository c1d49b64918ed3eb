// Nibble scan, baseline: every row's float sum, the definition itself.
#include "lut4/lut4.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

#include "core/scan.inl"

struct NibbleSums {
  static constexpr int kQueries = 1;

  template <int G>
  static void sums(const Scan& s, const uint8_t* payload, int64_t q, float (*out)[kBlock]) {
    const float* tables = static_cast<const float*>(s.operand) + q * s.m * 16;
    for (int r = 0; r < kBlock; ++r) out[0][r] = 0;
    for (int64_t j = 0; j < s.m; ++j) {
      const uint8_t* plane = payload + j / 2 * kBlock;
      const int shift = j % 2 * 4;
      for (int r = 0; r < kBlock; ++r) out[0][r] += tables[j * 16 + (plane[r] >> shift & 15)];
    }
  }
};

void scan_lut4(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  scan_exact<NibbleSums>(s, q0, q1, b0, b1, collectors);
}
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<Lut4> registered(Isa::scalar, {scalar::scan_lut4, nullptr});
}  // namespace vecpress
