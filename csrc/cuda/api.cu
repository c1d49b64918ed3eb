// What there is, memory, and what codes mean: everything of the C interface that computes nothing.
#include "api.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/scan.cuh"

#if defined(VECPRESS_EMULATE)

namespace vecpress::cuda {
int multiprocessors() { return 2; }
int capability() { return 90; }
int shared_of_block() { return 64 << 10; }  // the least of all devices: so tests meet what does not fit
}  // namespace vecpress::cuda

extern "C" {
int vp_cuda_emulated(void) { return 1; }
int vp_cuda_driver(int* version) {
  if (!version) return VP_CUDA_ARGUMENT;
  *version = 13000;
  return VP_CUDA_OK;
}
int vp_cuda_devices(int* count) {
  if (!count) return VP_CUDA_ARGUMENT;
  *count = 1;
  return VP_CUDA_OK;
}
int vp_cuda_name(int device, char* name, size_t bytes, int* capability, int* processors, size_t* memory) {
  if (device || !name || !bytes || !capability || !processors || !memory) return VP_CUDA_ARGUMENT;
  std::snprintf(name, bytes, "emulated");
  *capability = 90;
  *processors = 2;
  *memory = size_t{1} << 30;
  return VP_CUDA_OK;
}
int64_t vp_cuda_exact_rows(void) { return vecpress::cuda::exact_rows(); }
int vp_cuda_probe(int device) { return device ? VP_CUDA_ARGUMENT : VP_CUDA_OK; }
int vp_cuda_allocate(int device, size_t bytes, void** out) {
  if (device || !out) return VP_CUDA_ARGUMENT;
  *out = bytes ? std::aligned_alloc(256, (bytes + 255) / 256 * 256) : nullptr;
  if (bytes && !*out) return VP_CUDA_DRIVER + 2;
  if (bytes) std::memset(*out, 0xA5, bytes);  // what nobody has written shows
  return VP_CUDA_OK;
}
int vp_cuda_free(int device, void* memory) {
  if (device) return VP_CUDA_ARGUMENT;
  std::free(memory);
  return VP_CUDA_OK;
}
int vp_cuda_copy(int device, void* to, const void* from, size_t bytes, void*) {
  if (device || (bytes && (!to || !from))) return VP_CUDA_ARGUMENT;
  if (bytes) std::memmove(to, from, bytes);
  return VP_CUDA_OK;
}
int vp_cuda_fill(int device, void* to, int byte, size_t bytes, void*) {
  if (device || (bytes && !to)) return VP_CUDA_ARGUMENT;
  if (bytes) std::memset(to, byte, bytes);
  return VP_CUDA_OK;
}
int vp_cuda_wait(int device, void*) { return device ? VP_CUDA_ARGUMENT : VP_CUDA_OK; }
int vp_cuda_wait_all(int device) { return device ? VP_CUDA_ARGUMENT : VP_CUDA_OK; }
int vp_cuda_set_device(int device, int* before) {
  if (before) *before = 0;
  return device ? VP_CUDA_ARGUMENT : VP_CUDA_OK;
}
}

#else

namespace vecpress::cuda {

int status(cudaError_t error) {
  if (error == cudaSuccess) return VP_CUDA_OK;
  (void)cudaGetLastError();  // or the next launch, which may be a good one, would report it again
  return VP_CUDA_DRIVER + static_cast<int>(error);
}

namespace {

int attribute(cudaDeviceAttr which, int fallback) {
  int device = 0, value = 0;
  if (status(cudaGetDevice(&device)) || status(cudaDeviceGetAttribute(&value, which, device))) return fallback;
  return value;
}

// Makes a device current while it lives.
class On {
 public:
  explicit On(int device) {
    code_ = status(cudaGetDevice(&before_));
    if (!code_ && device != before_) {
      code_ = status(cudaSetDevice(device));
      changed_ = !code_;
    }
  }
  ~On() {
    if (changed_) cudaSetDevice(before_);
  }
  On(const On&) = delete;
  On& operator=(const On&) = delete;
  int code() const { return code_; }

 private:
  int before_ = 0, code_ = 0;
  bool changed_ = false;
};

__global__ void empty_kernel() {}

}  // namespace

int multiprocessors() { return attribute(cudaDevAttrMultiProcessorCount, 1); }
int capability() { return attribute(cudaDevAttrComputeCapabilityMajor, 0) * 10 + attribute(cudaDevAttrComputeCapabilityMinor, 0); }
int shared_of_block() { return attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, 48 << 10); }

}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" {
int vp_cuda_emulated(void) { return 0; }
int64_t vp_cuda_exact_rows(void) { return -1; }
int vp_cuda_driver(int* version) { return version ? status(cudaDriverGetVersion(version)) : VP_CUDA_ARGUMENT; }
int vp_cuda_devices(int* count) {
  if (!count) return VP_CUDA_ARGUMENT;
  *count = 0;
  return status(cudaGetDeviceCount(count));
}
int vp_cuda_name(int device, char* name, size_t bytes, int* capability, int* processors, size_t* memory) {
  if (device < 0 || !name || !bytes || !capability || !processors || !memory) return VP_CUDA_ARGUMENT;
  cudaDeviceProp properties;
  const int code = status(cudaGetDeviceProperties(&properties, device));
  if (code) return code;
  std::snprintf(name, bytes, "%s", properties.name);
  *capability = properties.major * 10 + properties.minor;
  *processors = properties.multiProcessorCount;
  *memory = properties.totalGlobalMem;
  return VP_CUDA_OK;
}
int vp_cuda_probe(int device) {
  const On on(device);
  if (on.code()) return on.code();
  const int code = launch(empty_kernel, dim3(1), dim3(1), 0, nullptr);
  return code ? code : status(cudaStreamSynchronize(nullptr));
}
int vp_cuda_allocate(int device, size_t bytes, void** out) {
  if (!out) return VP_CUDA_ARGUMENT;
  *out = nullptr;
  const On on(device);
  if (on.code() || !bytes) return on.code();
  return status(cudaMalloc(out, bytes));
}
int vp_cuda_free(int device, void* memory) {
  const On on(device);
  return on.code() ? on.code() : status(cudaFree(memory));
}
int vp_cuda_copy(int device, void* to, const void* from, size_t bytes, void* stream) {
  if (bytes && (!to || !from)) return VP_CUDA_ARGUMENT;
  const On on(device);
  if (on.code() || !bytes) return on.code();
  return status(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, static_cast<cudaStream_t>(stream)));
}
int vp_cuda_fill(int device, void* to, int byte, size_t bytes, void* stream) {
  if (bytes && !to) return VP_CUDA_ARGUMENT;
  const On on(device);
  if (on.code() || !bytes) return on.code();
  return status(cudaMemsetAsync(to, byte, bytes, static_cast<cudaStream_t>(stream)));
}
int vp_cuda_wait(int device, void* stream) {
  const On on(device);
  return on.code() ? on.code() : status(cudaStreamSynchronize(static_cast<cudaStream_t>(stream)));
}
int vp_cuda_wait_all(int device) {
  const On on(device);
  return on.code() ? on.code() : status(cudaDeviceSynchronize());
}
int vp_cuda_set_device(int device, int* before) {
  int now = 0;
  const int code = status(cudaGetDevice(&now));
  if (before) *before = now;
  return code || now == device ? code : status(cudaSetDevice(device));
}
}

#endif

extern "C" {
int vp_cuda_abi(void) { return VP_CUDA_ABI; }
const char* vp_cuda_message(int code) {
  switch (code) {
    case VP_CUDA_OK: return "ok";
    case VP_CUDA_ARGUMENT: return "an argument is out of its range";
    case VP_CUDA_WORKSPACE: return "the workspace is too small";
    case VP_CUDA_DEADLOCK: return "threads of a block wait for each other for ever";
    case VP_CUDA_LAUNCH: return "a kernel wants more shared memory or threads than there are";
    default: break;
  }
#if !defined(VECPRESS_EMULATE)
  if (code >= VP_CUDA_DRIVER) return cudaGetErrorString(static_cast<cudaError_t>(code - VP_CUDA_DRIVER));
#endif
  return "unknown code";
}
int vp_cuda_scan_workspace(int64_t n, int64_t nq, int64_t k, size_t operand, size_t* least, size_t* most) {
  if (n < 0 || nq < 0 || k < 1 || !least || !most) return VP_CUDA_ARGUMENT;
  const int64_t best = vecpress::cuda::places_of_best(n, k), whole = vecpress::cuda::groups_of(n) * vecpress::cuda::kGroup;
  const int64_t longest = whole < vecpress::cuda::kLargestPiece ? whole : vecpress::cuda::kLargestPiece;
  *least = vecpress::cuda::scan_bytes(nq, best + vecpress::cuda::kGroup, operand) + 256;
  *most = vecpress::cuda::scan_bytes(nq, best + (longest > vecpress::cuda::kGroup ? longest : vecpress::cuda::kGroup), operand) + 256;
  return VP_CUDA_OK;
}
}
