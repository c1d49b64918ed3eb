// Labels on grids with AVX-512.
#include "core/target.hpp"
#include "scalar_labels/scalar_labels.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "scalar_labels/scalar_labels.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<ScalarLabels> registered(Isa::avx512, avx512::label_rows);
}  // namespace vecpress

#endif
