// Byte scan, baseline: every row's float sum, the definition itself.
#include "lut8/lut8.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

#include "core/scan.inl"

struct ByteSumsExact {
  static constexpr int kQueries = 1;

  template <int G>
  static void sums(const Scan& s, const uint8_t* payload, int64_t q, float (*out)[kBlock]) {
    const float* tables = static_cast<const float*>(s.operand) + q * s.m * 256;
    for (int r = 0; r < kBlock; ++r) out[0][r] = 0;
    for (int64_t j = 0; j < s.m; ++j)
      for (int r = 0; r < kBlock; ++r) out[0][r] += tables[j * 256 + payload[j * kBlock + r]];
  }
};

void scan_lut8(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  scan_exact<ByteSumsExact>(s, q0, q1, b0, b1, collectors);
}
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<Lut8> registered(Isa::scalar, {scalar::scan_lut8, nullptr});
}  // namespace vecpress
