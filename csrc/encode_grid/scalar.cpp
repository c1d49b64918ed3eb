// Grid points for the baseline machine.
#include "core/target.hpp"
#include "encode_grid/encode_grid.hpp"

namespace vecpress::scalar {
namespace {
inline void try_scales(const int16_t* a, int64_t n, const uint16_t* scales, int shift, int most, int64_t* product,
                       int64_t* square) {
  for (int i = 0; i < 4; ++i) {
    const uint32_t scale = scales[i];
    int32_t squares = 0;
    int64_t total = 0;
    for (int64_t t = 0; t < n; t += 32) {
      int32_t products = 0;  // 32 bits hold those of 32 numbers, not of a chunk
      for (int64_t u = t; u < t + 32; ++u) {
        const uint32_t high = static_cast<uint32_t>(a[u]) * scale >> 16;
        const int16_t odd = static_cast<int16_t>(high >> shift | 1);
        const int16_t m = odd < most ? odd : static_cast<int16_t>(most);
        products += a[u] * m;
        squares += m * m;
      }
      total += products;
    }
    product[i] += total;
    square[i] += squares;
  }
}

#include "encode_grid/encode_grid.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<EncodeGrid> registered(Isa::scalar, scalar::encode_grid_rows);
}  // namespace vecpress
