// Matrix product in a fixed order, and a product quantizer's tables. Definitions: vecpress/ops/project.py, vecpress/ops/tables.py.
#include "core/chains.cuh"
#include "core/grids.cuh"

namespace vecpress::cuda {
namespace {

// Writes a thread's chains to out [count, width] where there are rows and columns.
template <class T>
__device__ __forceinline__ void write_chains(const float (&sum)[T::R][T::C], float* out, int64_t stride, int count, int width, bool fours) {
#pragma unroll
  for (int r = 0; r < T::R; ++r) {
    const int row = T::row(r);
    if (row >= count) continue;
    float* to = out + row * stride;
    if constexpr (T::C % 4 == 0) {
#pragma unroll
      for (int c = 0; c < T::C; c += 4) {
        const int column = T::column(c);
        if (fours && column + 4 <= width) {
          *reinterpret_cast<float4*>(to + column) = make_float4(sum[r][c], sum[r][c + 1], sum[r][c + 2], sum[r][c + 3]);
        } else {
#pragma unroll
          for (int i = 0; i < 4; ++i)
            if (column + i < width) to[column + i] = sum[r][c + i];
        }
      }
    } else {
#pragma unroll
      for (int c = 0; c < T::C; ++c)
        if (T::column(c) < width) to[T::column(c)] = sum[r][c];
    }
  }
}

struct Product {
  float* out;  // [n, p]
  const float* x;
  const float* matrix;
  const float* offset;
  int64_t n, d, p;
  bool fours;  // whether fours of `out` are aligned
};

// Blocks that follow one another take the same rows.
template <class T>
__global__ void __launch_bounds__(T::kThreads, T::kBlocks) project_kernel(Product a) {
  __align__(16) __shared__ float shared[T::kShared];
  const int64_t across = (a.p + T::kColumns - 1) / T::kColumns;
  const int64_t i0 = blockIdx.x / across * T::kRows, c0 = blockIdx.x % across * T::kColumns;
  float sum[T::R][T::C];
#pragma unroll
  for (int c = 0; c < T::C; ++c) {
    const int64_t column = c0 + T::column(c);
    const float start = a.offset && column < a.p ? a.offset[column] : 0.0f;
#pragma unroll
    for (int r = 0; r < T::R; ++r) sum[r][c] = start;
  }
  const Part<By::kRow> x{a.x + i0 * a.d, a.d, some_of(a.n - i0), nullptr};
  const Part<By::kColumn> y{a.matrix + c0, a.p, some_of(a.p - c0), nullptr};
  run_chains<T, false>(x, y, static_cast<int>(a.d), shared, sum);
  write_chains<T>(sum, a.out + i0 * a.p + c0, a.p, some_of(a.n - i0), some_of(a.p - c0), a.fours);
}

struct Tables {
  float* out;  // [nq, m, ks]
  const float* q;
  const float* codebooks;
  int64_t nq, m, ks, dsub;
  bool fours;
};

template <class T, bool kDistances, By byy>
__global__ void __launch_bounds__(T::kThreads, 1) tables_kernel(Tables a) {
  __align__(16) __shared__ float shared[T::kShared];
  const int64_t across = (a.ks + T::kColumns - 1) / T::kColumns, block = blockIdx.x;
  const int64_t c0 = block % across * T::kColumns, j = block / across % a.m, i0 = block / across / a.m * T::kRows;
  float sum[T::R][T::C] = {};
  const float* book = a.codebooks + j * a.ks * a.dsub;
  const Part<By::kRow> x{a.q + (i0 * a.m + j) * a.dsub, a.m * a.dsub, some_of(a.nq - i0), nullptr};
  const Part<byy> y{byy == By::kColumn ? book + c0 : book + c0 * a.dsub, byy == By::kColumn ? a.ks : a.dsub, some_of(a.ks - c0), nullptr};
  run_chains<T, kDistances>(x, y, static_cast<int>(a.dsub), shared, sum);
  if (kDistances) {
#pragma unroll
    for (int r = 0; r < T::R; ++r)
#pragma unroll
      for (int c = 0; c < T::C; ++c) sum[r][c] = -sum[r][c];
  }
  write_chains<T>(sum, a.out + (i0 * a.m + j) * a.ks + c0, a.m * a.ks, some_of(a.nq - i0), some_of(a.ks - c0), a.fours);
}

template <class T>
int launch_project(const Product& a, Stream stream) {
  const int64_t blocks = divided_up(a.n, T::kRows) * divided_up(a.p, T::kColumns);
  if (blocks > kMostBlocks) return VP_CUDA_ARGUMENT;
  return launch(project_kernel<T>, dim3(static_cast<unsigned>(blocks)), dim3(T::kThreads), 0, stream, a);
}

template <class T>
int launch_tables(const Tables& a, bool l2, bool by_column, Stream stream) {
  const int64_t blocks = divided_up(a.nq, T::kRows) * a.m * divided_up(a.ks, T::kColumns);
  if (blocks > kMostBlocks) return VP_CUDA_ARGUMENT;
  const dim3 grid(static_cast<unsigned>(blocks)), block(T::kThreads);
  if (by_column)
    return l2 ? launch(tables_kernel<T, true, By::kColumn>, grid, block, 0, stream, a)
              : launch(tables_kernel<T, false, By::kColumn>, grid, block, 0, stream, a);
  return l2 ? launch(tables_kernel<T, true, By::kRow>, grid, block, 0, stream, a)
            : launch(tables_kernel<T, false, By::kRow>, grid, block, 0, stream, a);
}

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" int vp_cuda_project(float* out, const float* x, const float* matrix, const float* offset, int64_t n, int64_t d, int64_t p,
                               void* stream) {
  if (n < 0 || d < 0 || d > INT32_MAX / 2 || p < 0) return VP_CUDA_ARGUMENT;
  if (!n || !p) return VP_CUDA_OK;
  if (!out || (d && (!x || !matrix))) return VP_CUDA_ARGUMENT;
  const Product a{out, x, matrix, offset, n, d, p, p % 4 == 0 && aligned_to(out, 16)};
  // tiles of 128 x 128 that do not fill the device leave most of it idle
  const bool few = n <= 8 || divided_up(n, WideTile::kRows) * divided_up(p, WideTile::kColumns) * 8 < multiprocessors();
  return few ? launch_project<FlatTile>(a, static_cast<Stream>(stream)) : launch_project<WideTile>(a, static_cast<Stream>(stream));
}

extern "C" int vp_cuda_tables(float* out, const float* q, const float* codebooks, int64_t nq, int64_t m, int64_t ks, int64_t dsub, int l2,
                              int by_column, void* stream) {
  if (nq < 0 || m < 0 || ks < 0 || dsub < 0 || dsub > INT32_MAX / 2) return VP_CUDA_ARGUMENT;
  if (!nq || !m || !ks) return VP_CUDA_OK;
  if (!out || (dsub && (!q || !codebooks))) return VP_CUDA_ARGUMENT;
  const Tables a{out, q, codebooks, nq, m, ks, dsub, ks % 4 == 0 && aligned_to(out, 16)};
  const Stream on = static_cast<Stream>(stream);
  if (ks <= NarrowTile::kColumns && nq > 8) return launch_tables<NarrowTile>(a, l2 != 0, by_column != 0, on);
  return nq <= 8 ? launch_tables<FlatTile>(a, l2 != 0, by_column != 0, on) : launch_tables<WideTile>(a, l2 != 0, by_column != 0, on);
}
