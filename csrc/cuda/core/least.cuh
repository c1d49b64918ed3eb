// The least of a row's totals, by a warp: for beam_step and search_labels.
//
// By a bar: the keep-th of the lanes' least totals, which keep totals do not exceed. What does not exceed it goes into a buffer in shared
// memory, whose order with what was kept before is made where it is full and at the end.
//
//   shared memory of a warp   | kept, ascending: places | buffer |    a total as a whole number << 32 | place << 1 | whether it is -0
#pragma once

#include "core/codes.cuh"

namespace vecpress::cuda {

constexpr uint64_t kNothing = ~uint64_t{0};

// What as many of the lanes' numbers as are kept, at most 32, do not exceed.
__device__ __forceinline__ float least_of_lanes(float x, int keep) {
  const int lane = lane_id();
#pragma unroll
  for (int size = 2; size <= 32; size *= 2)
#pragma unroll
    for (int by = size / 2; by; by /= 2) {
      const float other = __shfl_xor_sync(kAllLanes, x, by);
      x = ((lane & by) == 0) == ((lane & size) == 0) ? fminf(x, other) : fmaxf(x, other);
    }
  return __shfl_sync(kAllLanes, x, keep - 1);
}

// A warp's best so far, and those that may be among them. Of equal totals the lower place is less; totals are numbers.
struct Least {
  uint64_t* kept;  // [places + buffer]
  int places, keep;
  int count = 0;     // in the buffer
  bool any = false;  // kept
  float bar = 0;

  __device__ __forceinline__ void begin() {
    for (int i = lane_id(); i < places; i += 32) kept[i] = kNothing;
    count = 0;
    any = false;
    bar = __uint_as_float(0x7f800000u);
    __syncwarp();
  }

  // Whether a lane has `total`, of that place, to offer; by all lanes, and no more than the buffer holds before they are put in order.
  __device__ __forceinline__ void offer(bool has, float total, int place) {
    has = has && !(total > bar);
    const unsigned who = __ballot_sync(kAllLanes, has);
    if (!who) return;
    const uint32_t bits = __float_as_uint(total);
    const uint64_t key = static_cast<uint64_t>(order_of_bits(bits)) << 32 | static_cast<uint32_t>(place) << 1 | (bits == 0x80000000u);
    if (has) kept[places + count + __popc(who & ((1u << lane_id()) - 1))] = key;
    count += __popc(who);
  }

  // Puts all in order: the first are kept, and nothing is in the buffer.
  __device__ __forceinline__ void settle() {
    __syncwarp();
    if (!any && count <= 32)
      rank();
    else
      merge();
    any = true;
    count = 0;
    const uint64_t last = kept[keep - 1];
    if (last != kNothing) bar = __uint_as_float(bits_of_order(static_cast<uint32_t>(last >> 32)));
  }

  __device__ __forceinline__ float total(int k) const {
    const uint64_t key = kept[k];
    return __uint_as_float(key & 1 ? 0x80000000u : bits_of_order(static_cast<uint32_t>(key >> 32)));
  }
  __device__ __forceinline__ int place(int k) const { return static_cast<int>(static_cast<uint32_t>(kept[k]) >> 1); }

  // The first few: a lane counts those that are less than its own. No two are the same, for their places differ.
  __device__ __forceinline__ void rank() {
    const uint64_t own = lane_id() < count ? kept[places + lane_id()] : kNothing;
    int less = 0;
    for (int i = 0; i < count; ++i) less += kept[places + i] < own;
    if (lane_id() < count && less < places) kept[less] = own;
    __syncwarp();
  }

  // By Batcher's bitonic network, all of whose exchanges put the less in front where the first of each merge compare from both ends; so what
  // is not there, behind the last, would never move.
  __device__ __forceinline__ void merge() {
    const int all = places + count;
    int half = 32;
    while (2 * half < all) half *= 2;
#pragma unroll 1
    for (int size = 2; size <= 2 * half; size *= 2)
#pragma unroll 1
      for (int by = size; by > 1; by /= 2) {
#pragma unroll 1
        for (int i = lane_id(); i < half; i += 32) {
          const int inside = i & (by / 2 - 1), from = 2 * (i - inside), low = from + inside;
          const int high = by == size ? from + by - 1 - inside : low + by / 2;
          if (high >= all) continue;
          const uint64_t x = kept[low], y = kept[high];
          if (x > y) {
            kept[low] = y;
            kept[high] = x;
          }
        }
        __syncwarp();
      }
  }
};

}  // namespace vecpress::cuda
