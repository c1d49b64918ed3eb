// Nearest centroid of each row. Definition: vecpress/ops/assign.py.
#include "core/grids.cuh"
#include "core/nearest.cuh"
#include "core/nearest_screen.cuh"

namespace vecpress::cuda {
namespace {

struct Assign {
  int32_t* labels;
  float* distances;
  const float* x;
  const float* centroids;
  int64_t n, d, k;
};

// Every distance by the definition.
template <class T>
__global__ void __launch_bounds__(T::kThreads, kNearestBlocks<T>) differences_kernel(Assign a) {
  __align__(16) __shared__ float shared[kNearestShared<T>];
  const int64_t i0 = static_cast<int64_t>(blockIdx.x) * T::kRows;
  const Part<By::kRow> x{a.x + i0 * a.d, a.d, some_of(a.n - i0), nullptr}, y{a.centroids, a.d, static_cast<int>(a.k), nullptr};
  nearest_of_tile<T>(x, y, static_cast<int>(a.d), shared, [&](int row, const Nearest& found) {
    a.labels[i0 + row] = found.label;
    a.distances[i0 + row] = found.distance;
  });
}

template <class T>
int launch_differences(const Assign& a, Stream stream) {
  return launch(differences_kernel<T>, dim3(static_cast<unsigned>(divided_up(a.n, T::kRows))), dim3(T::kThreads), 0, stream, a);
}

// Rows of a piece: what fills the device eight times, or less.
int64_t most_rows(int64_t n) {
  const int64_t whole = divided_up(n, kScreenRows) * kScreenRows, some = static_cast<int64_t>(multiprocessors()) * kScreenRows * (kEmulated ? 1 : 8);
  return whole < some ? whole : some;
}

int steps_of(int64_t d) { return static_cast<int>(divided_up(d, 32)) * 2; }
int64_t columns_of(int64_t k) { return divided_up(k, kScreenColumns) * kScreenColumns; }

std::size_t fixed_bytes(int64_t d, int64_t k) {
  return aligned(static_cast<std::size_t>(columns_of(k)) * static_cast<std::size_t>(steps_of(d)) * 32) +
         aligned(static_cast<std::size_t>(columns_of(k)) * 4) + aligned(sizeof(ScreenBook));
}
std::size_t row_bytes(int64_t d) { return static_cast<std::size_t>(steps_of(d)) * 32 + sizeof(ScreenRow) + sizeof(int4) + 4; }
std::size_t piece_bytes(int64_t d, int64_t k, int64_t rows) { return fixed_bytes(d, k) + static_cast<std::size_t>(rows) * row_bytes(d) + 4 * 256; }

// Where products pay: below, everything is measured.
bool by_products(int64_t n, int64_t d, int64_t k) {
  if (d < 1 || d > 65536 || k > 1 << 24) return false;
  return kEmulated ? n >= 16 && k >= 7 : n >= 1024 && d >= 8 && k >= 64 && capability() >= 80;
}

int run_products(const Assign& a, void* workspace, int64_t piece, Stream stream) {
  uint8_t* at = static_cast<uint8_t*>(workspace);
  const auto take = [&](std::size_t bytes) {
    uint8_t* out = at;
    at += aligned(bytes);
    return out;
  };
  const std::size_t step_bytes = static_cast<std::size_t>(steps_of(a.d)) * 32;
  Screen s{};
  s.centroids = a.centroids;
  s.k = a.k;
  s.d = static_cast<int>(a.d);
  s.steps = steps_of(a.d);
  s.columns = reinterpret_cast<uint4*>(take(static_cast<std::size_t>(columns_of(a.k)) * step_bytes));
  s.starts = reinterpret_cast<float*>(take(static_cast<std::size_t>(columns_of(a.k)) * 4));
  s.book = reinterpret_cast<ScreenBook*>(take(sizeof(ScreenBook)));
  s.rows = reinterpret_cast<uint4*>(take(static_cast<std::size_t>(piece) * step_bytes));
  s.info = reinterpret_cast<ScreenRow*>(take(static_cast<std::size_t>(piece) * sizeof(ScreenRow)));
  s.candidates = reinterpret_cast<int4*>(take(static_cast<std::size_t>(piece) * sizeof(int4)));
  s.doubtful = reinterpret_cast<uint32_t*>(take(static_cast<std::size_t>(piece) * 4));
  constexpr int threads = kEmulated ? 64 : 256;
  int code = launch(begin_screen_kernel, dim3(1), dim3(1), 0, stream, s.book);
  if (!code) code = launch(largest_kernel, blocks_over(a.k * a.d, threads), dim3(threads), 0, stream, s.book, a.centroids, a.k * a.d);
  if (!code) code = launch(convert_kernel<true>, dim3(static_cast<unsigned>(columns_of(a.k) / 16)), dim3(kConvertWarps * 32), 0, stream, s);
  for (int64_t first = 0; first < a.n && !code; first += piece) {
    s.x = a.x + first * a.d;
    s.n = a.n - first < piece ? a.n - first : piece;
    const int64_t tiles = divided_up(s.n, kScreenRows);
    const dim3 measured(static_cast<unsigned>(divided_up(s.n, 32 * kMeasureWarps)));
    code = launch(begin_piece_kernel, dim3(1), dim3(1), 0, stream, s.book);
    if (!code)
      code = launch(convert_kernel<false>, dim3(static_cast<unsigned>(tiles * (kScreenRows / 16))), dim3(kConvertWarps * 32), 0, stream, s);
    if (!code) code = launch(screen_kernel, dim3(static_cast<unsigned>(tiles)), dim3(kScreenThreads), kScreenShared, stream, s);
    if (!code) code = launch(measure_kernel, measured, dim3(kMeasureWarps * 32), 0, stream, s, a.labels + first, a.distances + first);
    if (!code)
      code = launch(doubtful_kernel<WideTile>, blocks_over(s.n, WideTile::kRows), dim3(WideTile::kThreads), 0, stream, s, a.labels + first,
                    a.distances + first);
  }
  return code;
}

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" int vp_cuda_assign_workspace(int64_t n, int64_t d, int64_t k, size_t* least, size_t* most) {
  if (n < 0 || d < 0 || k < 1 || !least || !most) return VP_CUDA_ARGUMENT;
  *least = 0;
  *most = by_products(n, d, k) ? piece_bytes(d, k, most_rows(n)) : 0;
  return VP_CUDA_OK;
}

extern "C" int vp_cuda_assign(int32_t* labels, float* distances, const float* x, const float* centroids, int64_t n, int64_t d, int64_t k,
                              void* workspace, size_t workspace_bytes, void* stream) {
  if (n < 0 || d < 0 || k < 1 || k > INT32_MAX / 2 || d > INT32_MAX / 2 || n > int64_t{1} << 36) return VP_CUDA_ARGUMENT;
  if (!n) return VP_CUDA_OK;
  if (!labels || !distances || (d && (!x || !centroids))) return VP_CUDA_ARGUMENT;
  const Assign a{labels, distances, x, centroids, n, d, k};
  const Stream on = static_cast<Stream>(stream);
  if (by_products(n, d, k) && workspace) {
    int64_t piece = most_rows(n);
    while (piece > kScreenRows && piece_bytes(d, k, piece) > workspace_bytes) piece = divided_up(piece / 2, kScreenRows) * kScreenRows;
    if (piece_bytes(d, k, piece) <= workspace_bytes) return run_products(a, workspace, piece, on);
  }
  if (k <= NarrowTile::kColumns) return launch_differences<NarrowTile>(a, on);
  return n <= 8 ? launch_differences<FlatTile>(a, on) : launch_differences<WideTile>(a, on);
}
