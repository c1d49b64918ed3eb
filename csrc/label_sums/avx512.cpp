// Sums by label with AVX-512.
#include "core/target.hpp"
#include "label_sums/label_sums.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "label_sums/label_sums.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<LabelSums> registered(Isa::avx512, avx512::sum_labels);
}  // namespace vecpress

#endif
