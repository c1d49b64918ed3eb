// Scan `sdc`: vecpress/ops/sdc.py.
#pragma once

#include "core/registry.hpp"
#include "core/scan.hpp"

namespace vecpress {

struct Sdc {
  static constexpr const char* name = "sdc";
  using Kernel = ScanKernel;
};

// How the sum of products is made, by its place from 1 on among FORMS of vecpress/ops/sdc.py. All give the same whole number.
enum SdcForm { kFastest, kByTables, kByProducts, kByPlanes };

// What the numbers in some bits add to a row's number: (product of two numbers' 2 c - M, and M^2) / 2 each, so that it is never
// negative. a, c: a query's and a code's bits; inside: those that belong to dimensions; bits: how many of them there are.
constexpr int sdc_products(int n_bits, int a, int c, int inside, int bits) {
  const int most = (1 << n_bits) - 1;
  int sum = 0;
  for (int shift = 0; shift < bits; shift += n_bits)
    if (inside >> shift & most) sum += ((2 * (a >> shift & most) - most) * (2 * (c >> shift & most) - most) + most * most) / 2;
  return sum;
}

// The same of all kBits bits, for every pair: the static table that queries take rows of.
template <int kNumberBits, int kBits>
struct SdcTable {
  uint8_t entry[1 << kBits][1 << kBits];
  constexpr SdcTable() : entry() {
    for (int a = 0; a < 1 << kBits; ++a)
      for (int c = 0; c < 1 << kBits; ++c)
        entry[a][c] = static_cast<uint8_t>(sdc_products(kNumberBits, a, c, (1 << kBits) - 1, kBits));
  }
};

template <int kNumberBits, int kBits>
inline constexpr SdcTable<kNumberBits, kBits> kSdcTable{};

}  // namespace vecpress
