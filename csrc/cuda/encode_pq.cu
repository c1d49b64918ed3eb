// Codes of a product quantizer. Definition: vecpress/ops/encode_pq.py.
#include "core/grids.cuh"
#include "core/label_screen.cuh"
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

constexpr int kWarps = kEmulated ? 2 : 16;

// By products: a block keeps the centroids of some sub-quantizers in shared memory, its warps take 32 rows at a time. The grid's second axis
// is the group of sub-quantizers.
template <int kSteps>
__global__ void __launch_bounds__(kWarps * 32) products_kernel(EncodePq a, LabelBook book, int group, bool pairs, uint32_t up64) {
  __align__(16) __shared__ uint8_t codes[kWarps][32 * kCodeBytes];
  constexpr int kEach = kBookTiles * kSteps * 32;  // fragments of a sub-quantizer
  uint2* fragments = dynamic_shared<uint2>();
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = lane_id();
  const int64_t begin = static_cast<int64_t>(blockIdx.y) * group, end = begin + group < a.m ? begin + group : a.m;
  const uint4* from = reinterpret_cast<const uint4*>(book.fragments + begin * kEach);
  for (int i = static_cast<int>(threadIdx.x); i < static_cast<int>(end - begin) * kEach / 2; i += kWarps * 32)
    reinterpret_cast<uint4*>(fragments)[i] = from[i];
  __syncthreads();
  const bool whole = end - begin == kCodeBytes && a.m % kCodeBytes == 0 && reinterpret_cast<uintptr_t>(a.out) % kCodeBytes == 0;
  const int64_t d = a.m * a.dsub;
  for (int64_t i0 = (static_cast<int64_t>(blockIdx.x) * kWarps + warp) * 32; i0 < a.n; i0 += static_cast<int64_t>(gridDim.x) * kWarps * 32) {
    const int count = some_of(a.n - i0);
    for (int64_t j = begin; j < end; ++j) {
      int label[4];
      find_labels<kSteps>(book, book.spaces[j], fragments + (j - begin) * kEach, j, a.x + i0 * d + j * a.dsub, d, count, pairs, up64, label);
      const int own = lane % 4;  // the quad's lanes write a row each
      codes[warp][(lane / 4 + 8 * own) * kCodeBytes + static_cast<int>(j - begin)] =
          static_cast<uint8_t>(own < 2 ? (own ? label[1] : label[0]) : own == 2 ? label[2] : label[3]);
    }
    __syncwarp();
    const int size = static_cast<int>(end - begin);
    if (whole) {
      if (lane < count)
        *reinterpret_cast<uint4*>(a.out + (i0 + lane) * a.code_size + begin) = *reinterpret_cast<const uint4*>(codes[warp] + lane * kCodeBytes);
    } else {
      for (int i = lane; i < 32 * size; i += 32)
        if (i / size < count) a.out[(i0 + i / size) * a.code_size + begin + i % size] = codes[warp][i / size * kCodeBytes + i % size];
    }
    __syncwarp();
  }
}

template <int kSteps>
int launch_products(const EncodePq& a, const LabelBook& book, Stream stream) {
  const std::size_t each = static_cast<std::size_t>(kBookTiles) * kSteps * 32 * sizeof(uint2);
  const int device = capability();
  const std::size_t most = kEmulated ? 32 << 10 : (device == 80 || (device >= 90 && device < 120) ? 144 << 10 : 80 << 10);
  int group = kCodeBytes;
  while (group > 1 && group * each > most) group /= 2;
  const int64_t groups = divided_up(a.m, group), wanted = divided_up(a.n, kWarps * 32);
  if (groups > 65535) return VP_CUDA_ARGUMENT;
  const int64_t most_blocks = divided_up(2 * static_cast<int64_t>(multiprocessors()), groups) * 4;
  const dim3 grid(static_cast<unsigned>(wanted < most_blocks ? wanted : most_blocks), static_cast<unsigned>(groups));
  const bool pairs = a.dsub % 2 == 0 && aligned_to(a.x, 8);
  return launch(products_kernel<kSteps>, grid, dim3(kWarps * 32), group * each, stream, a, book, group, pairs, 64u);
}

std::size_t book_bytes(int64_t m, int64_t dsub) {
  return aligned(static_cast<std::size_t>(m) * kBookTiles * static_cast<std::size_t>(label_steps(dsub)) * 32 * sizeof(uint2)) +
         aligned(static_cast<std::size_t>(m) * sizeof(Subspace));
}

int by_products(const EncodePq& a, void* workspace, Stream stream) {
  const int steps = label_steps(a.dsub);
  uint8_t* at = static_cast<uint8_t*>(workspace);
  const LabelBook book{a.codebooks, reinterpret_cast<uint2*>(at),
                       reinterpret_cast<Subspace*>(at + book_bytes(a.m, a.dsub) - aligned(static_cast<std::size_t>(a.m) * sizeof(Subspace))),
                       a.m, static_cast<int>(a.dsub), steps, a.by_column};
  if (const int code = launch(label_book_kernel, dim3(static_cast<unsigned>(a.m)), dim3(kBook), 0, stream, book)) return code;
  switch (steps) {
    case 1: return launch_products<1>(a, book, stream);
    case 2: return launch_products<2>(a, book, stream);
    default: return launch_products<3>(a, book, stream);
  }
}

constexpr int64_t kRowsByProducts = kEmulated ? 16 : 256;  // below, the centroids' preparation costs more than it saves

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" int vp_cuda_encode_pq_workspace(int64_t m, int64_t ks, int64_t dsub, size_t* least, size_t* most) {
  if (m < 0 || ks < 0 || dsub < 0 || !least || !most) return VP_CUDA_ARGUMENT;
  *least = 0;
  *most = labels_by_products(ks, dsub) ? book_bytes(m, dsub) : 0;
  return VP_CUDA_OK;
}

extern "C" int vp_cuda_encode_pq(uint8_t* out, const float* x, const float* codebooks, int64_t n, int64_t m, int64_t ks, int64_t dsub,
                                 int by_column, void* workspace, size_t workspace_bytes, void* stream) {
  if (n < 0 || m < 0 || dsub < 0 || dsub > INT32_MAX / 2 || (ks != 16 && ks != 256)) return VP_CUDA_ARGUMENT;
  if (!n || !m) return VP_CUDA_OK;
  if (!out || (dsub && (!x || !codebooks))) return VP_CUDA_ARGUMENT;
  const EncodePq a{out, x, codebooks, n, m, ks, dsub, ks == 256 ? m : (m + 1) / 2, by_column != 0};
  const Stream on = static_cast<Stream>(stream);
  if (n >= kRowsByProducts && labels_by_products(ks, dsub) && (kEmulated || capability() >= 80) && workspace &&
      workspace_bytes >= book_bytes(m, dsub))
    return by_products(a, workspace, on);
  if (ks == 16) return launch_encode<NarrowTile>(a, on);
  return n <= 8 ? launch_encode<FlatTile>(a, on) : launch_encode<WideTile>(a, on);
}
