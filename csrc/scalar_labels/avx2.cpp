// Labels on grids with AVX2.
#include "core/target.hpp"
#include "scalar_labels/scalar_labels.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "scalar_labels/scalar_labels.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<ScalarLabels> registered(Isa::avx2, avx2::label_rows);
}  // namespace vecpress

#endif
