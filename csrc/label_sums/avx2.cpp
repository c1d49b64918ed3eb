// Sums by label with AVX2.
#include "core/target.hpp"
#include "label_sums/label_sums.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "label_sums/label_sums.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<LabelSums> registered(Isa::avx2, avx2::sum_labels);
}  // namespace vecpress

#endif
