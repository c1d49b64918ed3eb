// Codes of a product quantizer. Definition: vecpress/ops/encode_pq.py.
#include "core/grids.cuh"
#include "core/nearest.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kCodeBytes = 16;  // of a row that a block makes, at most

struct EncodePq {
  uint8_t* out;  // [n, code_size]
  const float* x;
  const float* codebooks;
  int64_t n, m, ks, dsub, code_size;
  bool by_column;
};

// The tile's bytes begin .. end - 1 of the code rows i0 .. from shared memory [rows, kCodeBytes], 16 bytes at a time where these are aligned.
__device__ __forceinline__ void write_codes(const EncodePq& a, const uint8_t* codes, int64_t i0, int rows, int64_t begin, int64_t end) {
  const int size = static_cast<int>(end - begin);
  const bool whole = size == kCodeBytes && a.code_size % kCodeBytes == 0 && reinterpret_cast<uintptr_t>(a.out) % kCodeBytes == 0;
  const int threads = static_cast<int>(blockDim.x);
  if (whole) {
    for (int row = static_cast<int>(threadIdx.x); row < rows && i0 + row < a.n; row += threads)
      *reinterpret_cast<uint4*>(a.out + (i0 + row) * a.code_size + begin) = *reinterpret_cast<const uint4*>(codes + row * kCodeBytes);
    return;
  }
  for (int i = static_cast<int>(threadIdx.x); i < rows * size; i += threads)
    if (i0 + i / size < a.n) a.out[(i0 + i / size) * a.code_size + begin + i % size] = codes[i / size * kCodeBytes + i % size];
}

// Every distance by the definition; a block takes the rows of a tile and `bytes` of their codes. Blocks that follow one another take the same
// rows.
template <class T, By byy>
__global__ void __launch_bounds__(T::kThreads, T::kThreads == 128 ? 3 : 1) encode_kernel(EncodePq a, int bytes) {
  __align__(16) __shared__ float shared[kNearestShared<T>];
  __align__(16) __shared__ uint8_t codes[T::kRows * kCodeBytes];
  const int64_t parts = (a.code_size + bytes - 1) / bytes, i0 = blockIdx.x / parts * T::kRows, begin = blockIdx.x % parts * bytes;
  const int64_t end = begin + bytes < a.code_size ? begin + bytes : a.code_size;
  const int a_byte = a.ks == 256 ? 1 : 2;  // labels
  const int64_t last = end * a_byte < a.m ? end * a_byte : a.m;
  for (int64_t j = begin * a_byte; j < last; ++j) {
    const float* book = a.codebooks + j * a.ks * a.dsub;
    const Part<By::kRow> x{a.x + (i0 * a.m + j) * a.dsub, a.m * a.dsub, some_of(a.n - i0), nullptr};
    const Part<byy> y{book, byy == By::kColumn ? a.ks : a.dsub, static_cast<int>(a.ks), nullptr};
    nearest_of_tile<T>(x, y, static_cast<int>(a.dsub), shared, [&](int row, const Nearest& found) {
      uint8_t& byte = codes[row * kCodeBytes + static_cast<int>(j / a_byte - begin)];
      byte = static_cast<uint8_t>(a_byte == 2 && j % 2 ? byte | found.label << 4 : found.label);  // by the same thread for every j
    });
  }
  __syncthreads();
  write_codes(a, codes, i0, T::kRows, begin, end);
}

template <class T>
int launch_encode(const EncodePq& a, Stream stream) {
  const int64_t tiles = divided_up(a.n, T::kRows);
  int bytes = kCodeBytes;  // fewer where there are too few rows to fill the device
  while (bytes > 1 && tiles * divided_up(a.code_size, bytes) < 2 * static_cast<int64_t>(multiprocessors())) bytes /= 2;
  const int64_t blocks = tiles * divided_up(a.code_size, bytes);
  if (blocks > kMostBlocks) return VP_CUDA_ARGUMENT;
  const dim3 grid(static_cast<unsigned>(blocks)), block(T::kThreads);
  return a.by_column ? launch(encode_kernel<T, By::kColumn>, grid, block, 0, stream, a, bytes)
                     : launch(encode_kernel<T, By::kRow>, grid, block, 0, stream, a, bytes);
}

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" int vp_cuda_encode_pq(uint8_t* out, const float* x, const float* codebooks, int64_t n, int64_t m, int64_t ks, int64_t dsub,
                                 int by_column, void* stream) {
  if (n < 0 || m < 0 || dsub < 0 || dsub > INT32_MAX / 2 || (ks != 16 && ks != 256)) return VP_CUDA_ARGUMENT;
  if (!n || !m) return VP_CUDA_OK;
  if (!out || (dsub && (!x || !codebooks))) return VP_CUDA_ARGUMENT;
  const EncodePq a{out, x, codebooks, n, m, ks, dsub, ks == 256 ? m : (m + 1) / 2, by_column != 0};
  const Stream on = static_cast<Stream>(stream);
  if (ks == 16) return launch_encode<NarrowTile>(a, on);
  return n <= 8 ? launch_encode<FlatTile>(a, on) : launch_encode<WideTile>(a, on);
}
