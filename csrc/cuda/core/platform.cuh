// What kernels are written in: CUDA C++ for devices, or, with VECPRESS_EMULATE, the same sources for one processor.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(VECPRESS_EMULATE)
#include "core/intrinsics.hpp"
#else
#include <cuda_runtime.h>
#endif

#include "core/codes_of_errors.h"

namespace vecpress::cuda {

constexpr unsigned kAllLanes = 0xffffffffu;

#if defined(VECPRESS_EMULATE)

using Stream = void*;
constexpr bool kEmulated = true;

int shared_of_block();  // api.cu, the most bytes that a block may ask for

template <class... P, class... A>
inline int launch(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t shared, Stream, A... args) {
  if (!grid.x || !grid.y || !grid.z) return VP_CUDA_OK;
  if (shared > emulate::kShared || block.x * block.y * block.z > 1024) return VP_CUDA_LAUNCH;
  return emulate::launch(grid, block, [=] { kernel(static_cast<P>(args)...); }) ? VP_CUDA_DEADLOCK : VP_CUDA_OK;
}

// How many blocks of a kernel a multiprocessor holds at once.
template <class... P>
inline int resident_blocks(void (*)(P...), int, std::size_t shared, int& out) {
  out = 2;
  return shared > emulate::kShared ? VP_CUDA_LAUNCH : VP_CUDA_OK;
}

// Rows that a screen has not skipped, counted for tests: that it skips is seen nowhere else.
inline int64_t& exact_rows() {
  static int64_t rows = 0;
  return rows;
}
inline void count_exact() { ++exact_rows(); }

// A block's own memory, as much as the launch gave.
template <class T>
inline T* dynamic_shared() {
  return reinterpret_cast<T*>(emulate::machine().shared.get());
}

#else

using Stream = cudaStream_t;
constexpr bool kEmulated = false;

int status(cudaError_t error);  // api.cu
int shared_of_block();          // api.cu, the most bytes that a block of the current device may ask for

// Lets a kernel have more shared memory than every device gives unasked. Always the most that there is: calls of several threads set the same.
template <class... P>
inline int allow_shared(void (*kernel)(P...), std::size_t shared) {
  if (shared <= 16 << 10) return VP_CUDA_OK;  // with what any kernel has beside, less than that
  const void* function = reinterpret_cast<const void*>(kernel);
  cudaFuncAttributes its;
  if (const int code = status(cudaFuncGetAttributes(&its, function))) return code;
  if (shared + its.sharedSizeBytes <= 48 << 10) return VP_CUDA_OK;
  const int most = shared_of_block() - static_cast<int>(its.sharedSizeBytes);
  if (static_cast<int64_t>(shared) > most) return VP_CUDA_LAUNCH;
  return status(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, most));
}

template <class... P>
inline int resident_blocks(void (*kernel)(P...), int threads, std::size_t shared, int& out) {
  if (const int code = allow_shared(kernel, shared)) return code;
  return status(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&out, kernel, threads, shared));
}

__device__ __forceinline__ void count_exact() {}

template <class... P, class... A>
inline int launch(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t shared, Stream stream, A... args) {
  if (!grid.x || !grid.y || !grid.z) return VP_CUDA_OK;
  if (const int code = allow_shared(kernel, shared)) return code;
  kernel<<<grid, block, shared, stream>>>(static_cast<P>(args)...);
  return status(cudaGetLastError());
}

template <class T>
__device__ inline T* dynamic_shared() {
  extern __shared__ __align__(128) unsigned char vecpress_shared[];
  return reinterpret_cast<T*>(vecpress_shared);
}

#endif

__device__ __forceinline__ int lane_id() { return static_cast<int>(threadIdx.x) & 31; }

// Asks for a line of memory that will be read soon.
__device__ __forceinline__ void fetch(const void* at) {
#if defined(VECPRESS_EMULATE)
  (void)at;
#else
  asm volatile("prefetch.global.L2 [%0];" ::"l"(at));
#endif
}

// Hides from the compiler what a number is, so that what is read by it is read again and not kept.
__device__ __forceinline__ void unknown(int& x) {
#if defined(VECPRESS_EMULATE)
  (void)x;
#else
  asm volatile("" : "+r"(x));
#endif
}

// The first failure of several steps.
inline int first_of(int a, int b) { return a ? a : b; }

}  // namespace vecpress::cuda
