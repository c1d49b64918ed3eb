// What kernels are written in: CUDA C++ for devices, or, with VECPRESS_EMULATE, the same sources for one processor.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(VECPRESS_EMULATE)
#include "core/emulate.hpp"
#else
#include <cuda_runtime.h>
#endif

#include "core/codes_of_errors.h"

namespace vecpress::cuda {

constexpr unsigned kAllLanes = 0xffffffffu;

#if defined(VECPRESS_EMULATE)

using Stream = void*;
constexpr bool kEmulated = true;

template <class... P, class... A>
inline int launch(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t shared, Stream, A... args) {
  if (!grid.x || !grid.y || !grid.z) return VP_CUDA_OK;
  if (shared > emulate::kShared || block.x * block.y * block.z > 1024) return VP_CUDA_LAUNCH;
  return emulate::launch(grid, block, [=] { kernel(static_cast<P>(args)...); }) ? VP_CUDA_DEADLOCK : VP_CUDA_OK;
}

// A block's own memory, as much as the launch gave.
template <class T>
inline T* dynamic_shared() {
  return reinterpret_cast<T*>(emulate::machine().shared.get());
}

#else

using Stream = cudaStream_t;
constexpr bool kEmulated = false;

int status(cudaError_t error);  // api.cu

template <class... P, class... A>
inline int launch(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t shared, Stream stream, A... args) {
  if (!grid.x || !grid.y || !grid.z) return VP_CUDA_OK;
  if (shared > 48 << 10) {  // more than every device gives unasked
    const cudaError_t error =
        cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
    if (error != cudaSuccess) return status(error);
  }
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

// The first failure of several steps.
inline int first_of(int a, int b) { return a ? a : b; }

}  // namespace vecpress::cuda
