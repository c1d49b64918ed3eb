// Nearest centroid of each row. Definition: vecpress/ops/assign.py.
#include "core/grids.cuh"
#include "core/nearest.cuh"

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
__global__ void __launch_bounds__(T::kThreads, T::kBlocks) differences_kernel(Assign a) {
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

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" int vp_cuda_assign(int32_t* labels, float* distances, const float* x, const float* centroids, int64_t n, int64_t d, int64_t k,
                              void* stream) {
  if (n < 0 || d < 0 || k < 1 || k > INT32_MAX / 2 || d > INT32_MAX / 2 || n > int64_t{1} << 36) return VP_CUDA_ARGUMENT;
  if (!n) return VP_CUDA_OK;
  if (!labels || !distances || (d && (!x || !centroids))) return VP_CUDA_ARGUMENT;
  const Assign a{labels, distances, x, centroids, n, d, k};
  const Stream on = static_cast<Stream>(stream);
  if (k <= NarrowTile::kColumns) return launch_differences<NarrowTile>(a, on);
  return n <= 8 ? launch_differences<FlatTile>(a, on) : launch_differences<WideTile>(a, on);
}
