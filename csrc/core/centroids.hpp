// What finding the nearest centroids by products needs to know of them: |x - c|^2 is least where <x, c> - |c|^2 / 2 is largest.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

namespace vecpress {

constexpr int64_t kRowsByProducts = 64;      // below, and with fewer centroids, finding out costs more than it saves
constexpr int64_t kCentroidsByProducts = 8;
constexpr double kLargestByProducts = 1e36;  // of |c|^2: beyond, sums might overflow on the way

// starts[c] = -|c|^2 / 2, rounded; returns the largest |c|^2, rounded up, or infinity where one is not finite.
inline double half_squares(const float* centroids, int64_t k, int64_t d, float* starts) {
  double largest = 0;
  for (int64_t c = 0; c < k; ++c) {
    double part[4] = {};  // chains that do not wait for each other
    int64_t t = 0;
    for (; t + 4 <= d; t += 4)
      for (int i = 0; i < 4; ++i) part[i] += static_cast<double>(centroids[c * d + t + i]) * centroids[c * d + t + i];
    for (; t < d; ++t) part[0] += static_cast<double>(centroids[c * d + t]) * centroids[c * d + t];
    const double square = (part[0] + part[1]) + (part[2] + part[3]);
    starts[c] = static_cast<float>(-0.5 * square);
    if (!(square <= largest)) largest = std::isfinite(square) ? square : std::numeric_limits<double>::infinity();
  }
  return largest * (1 + 0x1p-30);
}

}  // namespace vecpress
