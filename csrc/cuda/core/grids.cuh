// Launches over many items: what all row operations share on the host's side.
#pragma once

#include "api.h"
#include "core/scan.cuh"

namespace vecpress::cuda {

inline int64_t divided_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline bool aligned_to(const void* p, std::size_t bytes) { return reinterpret_cast<std::uintptr_t>(p) % bytes == 0; }

constexpr int64_t kMostBlocks = 2147483647;  // of a grid's first axis

// Blocks for threads that go over `items` in turns, as many as the device holds a few times.
inline dim3 blocks_over(int64_t items, int threads) {
  const int64_t wanted = divided_up(items, threads), most = static_cast<int64_t>(multiprocessors()) * 32;
  return dim3(static_cast<unsigned>(wanted < most ? wanted : most));
}

}  // namespace vecpress::cuda
