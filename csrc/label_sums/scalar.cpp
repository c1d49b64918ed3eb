// Sums by label for the baseline machine.
#include "label_sums/label_sums.hpp"

namespace vecpress::scalar {
namespace {
#include "label_sums/label_sums.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<LabelSums> registered(Isa::scalar, scalar::sum_labels);
}  // namespace vecpress
